import type { CallMessage, AnswerMessage, CallFailure } from "./messages";

/** What the SDK knows of a service: for each method, how its messages are written and read. */
type ServiceDefinition = Readonly<
  Record<
    string,
    {
      readonly path: string;
      readonly originalName?: string;
      readonly requestSerialize: (request: unknown) => Uint8Array;
      readonly responseDeserialize: (response: Buffer) => unknown;
    }
  >
>;

/** What is done with the answer to a call. */
type Done = (error: Error | null, response?: unknown) => void;

/** A client's class as the SDK's generated code has it. */
export interface ClientClass {
  new (...args: never[]): object;
  readonly service: ServiceDefinition;
}

/** Names of gRPC's status codes, as its own errors have them. */
const STATUS_NAMES: Readonly<Record<number, string>> = {
  2: "UNKNOWN",
  12: "UNIMPLEMENTED",
  14: "UNAVAILABLE",
};

/**
 * Puts a program's calls to the engine through the channel between the two processes: for the hundreds of small calls of a program
 * that takes a fraction of what HTTP/2 does. Nobody else can talk to the engine this way.
 */
export class EngineChannel {
  private readonly waiting = new Map<number, (answer: AnswerMessage) => void>();
  private calls = 0;

  /** Takes an answer of the engine's. */
  take(answer: AnswerMessage): void {
    const done = this.waiting.get(answer.call);
    this.waiting.delete(answer.call);
    // As with a socket: what is waited for keeps the process alive, and nothing else does.
    if (this.waiting.size === 0) process.channel?.unref();
    done?.(answer);
  }

  /** A class of clients that use the channel, to stand in for one of gRPC's. */
  clientClass({ service }: ClientClass): ClientClass {
    const call = this.call.bind(this);
    class ChannelClient {
      static readonly service = service;
      private closed = false;

      close(): void {
        this.closed = true;
      }

      refuseWhenClosed(): void {
        // In gRPC's words, by which the engine knows it.
        if (this.closed) throw new Error("Channel has been shut down");
      }
    }
    for (const [name, method] of Object.entries(service)) {
      Object.defineProperty(ChannelClient.prototype, name, {
        value(this: ChannelClient, request: unknown, ...rest: unknown[]): void {
          this.refuseWhenClosed();
          // Metadata and options may stand before it.
          const done = rest.at(-1) as Done;
          call(method.path, method.requestSerialize(request), ({ response, failure }) => {
            if (failure) done(errorOf(failure));
            else done(null, method.responseDeserialize(Buffer.from(response ?? [])));
          });
        },
      });
    }
    return ChannelClient;
  }

  private call(path: string, request: Uint8Array, done: (answer: AnswerMessage) => void): void {
    if (this.waiting.size === 0) process.channel?.ref();
    this.calls += 1;
    this.waiting.set(this.calls, done);
    const message: CallMessage = { call: this.calls, path, request };
    // An engine that is gone is told by the end of the channel.
    process.send?.(message, () => undefined);
  }
}

/** A failure in gRPC's form. */
function errorOf({ code, details }: CallFailure): Error {
  const name = STATUS_NAMES[code] ?? "UNKNOWN";
  return Object.assign(new Error(`${String(code)} ${name}: ${details}`), { code, details });
}
