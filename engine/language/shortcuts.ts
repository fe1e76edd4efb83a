/**
 * Makes the SDK start quicker without changing what it does: what it loads or computes in advance, and most programs
 * never use, is put off until it is used. Together this is more than half of the SDK's start.
 */
import { Session } from "node:inspector";
import Module from "node:module";

/** What of Node's module loader is replaced; it has no types. */
interface ModuleLoader {
  _load: (request: string, parent: { filename?: string } | undefined, isMain: boolean) => unknown;
}

interface V8Hooks {
  isInitializedAsync: () => Promise<void>;
  getSessionAsync: () => Promise<unknown>;
  getScriptUrl: (id: string) => string | undefined;
}

type PrepareStackTrace = (error: Error, frames: NodeJS.CallSite[]) => unknown;

/**
 * What a package loads at once and hardly anybody uses, by where the package is: the SDK needs three others to serialize functions, as
 * dynamic providers do, and has an API to drive Pulumi by; zod, which checks what programs are given, has the words of fifty languages.
 */
const PUT_OFF: readonly (readonly [string, readonly string[]])[] = [
  ["/@pulumi/pulumi/", ["@npmcli/arborist", "normalize-package-data", "typescript"]],
  ["/@pulumi/pulumi/index.js", ["./automation"]],
  ["/node_modules/zod/", ["../locales/index.cjs"]],
];

/** Has these loaded when they are first used. Call it before the SDK is loaded. */
export function putOffPackages(): void {
  const loader = Module as unknown as ModuleLoader;
  const load = loader._load;
  loader._load = function (request, parent, isMain): unknown {
    const from = parent?.filename ?? "";
    if (!PUT_OFF.some(([owner, requests]) => requests.includes(request) && from.includes(owner)))
      return load.call(this, request, parent, isMain);
    return lazyModule(() => load.call(this, request, parent, isMain) as object);
  };
}

/** Stands for a module until one of its exports is asked for. */
function lazyModule(load: () => object): object {
  let loaded: (object & { __esModule?: boolean; default?: unknown }) | undefined;
  const module = (): NonNullable<typeof loaded> => (loaded ??= load());
  return new Proxy(
    {},
    {
      get: (_target, key) => {
        // Compiled imports copy every export of a module that is not marked so, and would load it at once.
        if (key === "__esModule") return true;
        if (key === "default" && !module().__esModule) return module();
        return Reflect.get(module(), key) as unknown;
      },
      has: (_target, key) => Reflect.has(module(), key),
      ownKeys: () => Reflect.ownKeys(module()),
      getOwnPropertyDescriptor: (_target, key) => {
        const descriptor = Reflect.getOwnPropertyDescriptor(module(), key);
        // The stand-in itself has no such property, so that it must not be called a fixed one.
        return descriptor && { ...descriptor, configurable: true };
      },
    },
  );
}

/**
 * Puts off the debugger session, for which V8 compiles every function anew: it only serves to tell in which file a
 * serialized function stands. It is then opened with its listener in place, so that it need not be opened twice to hear
 * of the scripts that were loaded before. Call it when the SDK is loaded.
 */
export function putOffDebugger(hooks: V8Hooks): void {
  const urls = new Map<string, string>();
  let opened: Session | undefined;
  hooks.isInitializedAsync = () => Promise.resolve();
  hooks.getSessionAsync = () => Promise.resolve((opened ??= openSession(urls)));
  hooks.getScriptUrl = (id) => urls.get(id);
}

/** Opens a session that notes the place of every script, those already loaded among them. */
function openSession(urls: Map<string, string>): Session {
  const session = new Session();
  session.connect();
  session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
  session.post("Debugger.enable");
  return session;
}

/** Frames between a resource's registration and what takes its place in the source: the SDK's own, its constructors, and the package's. */
const SDK_FRAMES = 5;

/** A place in a source, as the SDK has it. */
interface Position {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** What of the SDK's class of resources is replaced or used. */
interface ResourceClass {
  readonly framePositionRegExp: RegExp;
  callsites: () => readonly Position[];
}

/**
 * Cuts short the stack traces that the SDK takes of every resource: of all of its frames the engine uses one, where the
 * program registers it. Call it when source-map-support is installed, which makes each frame costly.
 */
export function cutResourceStacks({ Resource }: { readonly Resource: ResourceClass }): void {
  const before = new Array<Position>(SDK_FRAMES).fill({});
  Resource.callsites = () => {
    const groups = Resource.framePositionRegExp.exec(frameAt(SDK_FRAMES) ?? "")?.groups;
    const { file = "", line = "", column = "" } = groups ?? {};
    if (file === "" || file.startsWith("node:")) return [...before, {}];
    return [...before, { file, line: Number(line), column: Number(column) }];
  };
}

/** A line of the stack trace of who calls, with its place in the source: 0 is the caller itself. */
function frameAt(index: number): string | undefined {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- V8, too, calls it without a receiver.
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = index + 2;
  Error.prepareStackTrace = (error, frames): unknown =>
    (prepareStackTrace as PrepareStackTrace | undefined)?.(error, frames.slice(index + 1));
  try {
    return new Error().stack?.split("\n")[1];
  } finally {
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  }
}

/** What of the SDK's module `runtime/debuggable` is replaced. */
interface Debuggable {
  debuggablePromise: <T>(promise: Promise<T>, context: unknown) => Promise<T>;
}

/** What of the SDK's module `runtime/state` is used. */
interface State {
  getStore: () => { readonly leakCandidates: Set<Promise<unknown>> };
}

/**
 * Leaves out the stack traces and numbers that the SDK gives every promise in case it leaks, except where a user looks for leaks. That
 * one leaked is told all the same.
 */
export function leaveOutPromiseStacks(module: Debuggable, { getStore }: State): void {
  if (process.env["PULUMI_DEBUG_PROMISE_LEAKS"]) return;
  const { debuggablePromise } = module;
  module.debuggablePromise = (promise, context) => {
    module.debuggablePromise = (each) => leakCandidate(each, getStore().leakCandidates);
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      // From its first call on the SDK's own has promises that leaked told at the process's end.
      return debuggablePromise(promise, context);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  };
}

/** Notes a promise as one that may leak until it is settled, and passes on what becomes of it. */
function leakCandidate<T>(promise: Promise<T>, candidates: Set<Promise<unknown>>): Promise<T> {
  candidates.add(promise);
  return promise.then(
    (value) => {
      candidates.delete(promise);
      return value;
    },
    (error: unknown) => {
      candidates.delete(promise);
      if (typeof error === "object" && error !== null) Object.assign(error, { promise });
      throw error;
    },
  );
}

/** What the SDK does with a span of a trace. */
const NO_SPAN = { end: nothing, addEvent: nothing, setAttribute: nothing };

function nothing(): void {
  // Nobody looks at it.
}

/**
 * Leaves out tracing, which this engine never asks for: the modules behind it take as long to load as the rest of the SDK.
 * Call it before `cmd/run` is loaded.
 */
export function leaveOutTracing(sdk: NodeJS.Require): void {
  const name = sdk.resolve("./cmd/run/tracing.js");
  const module = new Module(name);
  module.filename = name;
  module.exports = { start: nothing, stop: nothing, newSpan: () => NO_SPAN };
  module.loaded = true;
  sdk.cache[name] = module;
}

/** What of the SDK's module `log` is replaced. */
interface Log {
  debug: (...message: unknown[]) => Promise<void>;
}

/**
 * Leaves out messages that are for whoever debugs a program: this engine never shows them, and the SDK sends half a dozen for every
 * resource, each a call that the next one waits for.
 */
export function leaveOutDebugMessages(module: Log): void {
  module.debug = () => Promise.resolve();
}
