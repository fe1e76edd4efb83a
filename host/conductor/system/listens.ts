import { connect } from "node:net";

/** Does anybody take connections at a unix socket? */
export function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const answer = (listening: boolean) => (): void => {
      connection.destroy();
      resolve(listening);
    };
    connection.once("connect", answer(true)).once("error", answer(false));
  });
}
