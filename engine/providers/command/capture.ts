import { StringDecoder } from "node:string_decoder";
import { maskStrings, textOf, type PropertyMap, type PropertyValue } from "../../values/property";
import type { ProviderContext } from "../provider";
import { commandError, masksFor, textInput, withoutFinalNewline } from "./outputs";

/** Which of a command's streams are shown while it runs. */
export type Logging = "none" | "stdout" | "stderr" | "stdoutAndStderr";

type Stream = "stdout" | "stderr";

/** Gathers what a command prints, and shows it line by line with secrets masked. */
export class OutputCapture {
  private readonly chunks: Record<Stream, Buffer[]> = { stdout: [], stderr: [] };
  private readonly both: Buffer[] = [];
  private readonly shown: Record<Stream, boolean>;
  private readonly decoders: Record<Stream, StringDecoder> = {
    stdout: new StringDecoder("utf8"),
    stderr: new StringDecoder("utf8"),
  };
  private readonly partial: Record<Stream, string> = { stdout: "", stderr: "" };

  constructor(
    private readonly context: ProviderContext,
    logging: Logging,
    private readonly masks: ReadonlySet<string>,
  ) {
    this.shown = {
      stdout: logging === "stdout" || logging === "stdoutAndStderr",
      stderr: logging === "stderr" || logging === "stdoutAndStderr",
    };
  }

  /** Takes a piece of a stream. */
  take(stream: Stream, chunk: Buffer): void {
    this.chunks[stream].push(chunk);
    this.both.push(chunk);
    if (!this.shown[stream]) return;
    const lines = (this.partial[stream] + this.decoders[stream].write(chunk)).split("\n");
    this.partial[stream] = lines.pop() ?? "";
    for (const line of lines) this.show(line);
  }

  /** Shows what is left of lines without an end. */
  finish(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.partial[stream] !== "") this.show(this.partial[stream]);
      this.partial[stream] = "";
    }
  }

  /** The streams as the resource keeps them. */
  get outputs(): { stdout: string; stderr: string } {
    const text = (stream: Stream): string =>
      withoutFinalNewline(Buffer.concat(this.chunks[stream]).toString("utf8"));
    return { stdout: text("stdout"), stderr: text("stderr") };
  }

  /** Both streams in the order in which they came. */
  get combined(): string {
    return Buffer.concat(this.both).toString("utf8");
  }

  private show(line: string): void {
    this.context.log("info", maskStrings(line, this.masks));
  }
}

/** A command about to run, here or on a host. */
export interface CapturedCommand {
  /** The command, without its secret mark. */
  readonly text: string;
  /** Takes what it prints. */
  readonly capture: OutputCapture;
  /** Ends the capture; returns the outputs, and fails where there is a reason why the command failed. */
  readonly end: (reason: string | undefined) => PropertyMap;
}

/** Gets a command and the capture of its output ready, with the resource's secrets masked and its `logging`. */
export function captured(
  context: ProviderContext,
  command: PropertyValue,
  inputs: PropertyMap,
  earlier: PropertyMap,
): CapturedCommand {
  const text = textOf(command);
  const all = { ...inputs, ...earlier };
  const logging = (textInput(inputs, "logging") ?? "stdoutAndStderr") as Logging;
  const capture = new OutputCapture(context, logging, masksFor(all));
  return {
    text,
    capture,
    end(reason) {
      capture.finish();
      if (reason !== undefined) throw commandError(reason, text, capture.combined, all);
      return capture.outputs;
    },
  };
}
