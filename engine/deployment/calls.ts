import { messageOf } from "../errors";
import { Status, type AnswerMessage, type CallMessage } from "../language/messages";

/** A message of the protocol, as far as it goes from process to process. */
interface ProtocolMessage {
  serializeBinary(): Uint8Array;
}

/** One of a service's methods. */
export interface Method {
  readonly read: (bytes: Uint8Array) => unknown;
  readonly handle: (request: unknown) => ProtocolMessage | Promise<ProtocolMessage>;
  readonly codeOf: (error: unknown) => number;
}

/** Methods by path: `/pulumirpc.Engine/Log`. */
export type Methods = ReadonlyMap<string, Method>;

/** A class of messages. */
interface MessageClass<Message> {
  deserializeBinary(bytes: Uint8Array): Message;
}

/**
 * Makes a method of a function. Every failure is answered with UNAVAILABLE, unless `codeOf` says another code: the SDK
 * takes that for the end of the deployment and ends quietly, whereas any other code makes it wait or repeat what was
 * shown already.
 */
export function method<Request>(
  request: MessageClass<Request>,
  handle: (request: Request) => ProtocolMessage | Promise<ProtocolMessage>,
  codeOf: (error: unknown) => number = () => Status.unavailable,
): Method {
  return {
    read: (bytes) => request.deserializeBinary(bytes),
    handle: handle as Method["handle"],
    codeOf,
  };
}

/** The methods of a service, by path. */
export function serviceMethods(service: string, methods: Readonly<Record<string, Method>>): Methods {
  return new Map(Object.entries(methods).map(([name, each]) => [`/pulumirpc.${service}/${name}`, each]));
}

/** What is answered to a call of a method that the engine lacks. */
function lacking(path: string): string {
  return `the embedded engine does not have ${path.slice(path.lastIndexOf("/") + 1)}`;
}

/** Answers a call, whatever becomes of it. */
export async function answerCall(
  methods: Methods,
  { call, path, request }: CallMessage,
): Promise<AnswerMessage> {
  const found = methods.get(path);
  if (!found) return { call, failure: { code: Status.unimplemented, details: lacking(path) } };
  try {
    const response = await found.handle(found.read(request));
    return { call, response: response.serializeBinary() };
  } catch (error) {
    return { call, failure: { code: found.codeOf(error), details: messageOf(error) } };
  }
}
