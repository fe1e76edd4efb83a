import { randomInt } from "node:crypto";
import fc from "fast-check";
import { COLOURS } from "../../../host/conductor/protocol";
import type { Wanted } from "./site-model";

/** Shares that the states differ in, in percent. */
const WEIGHTS = [0, 5, 50, 100] as const;

/** Records that are equal to literals: fast-check's own are at times without a prototype. */
const PLAIN = { noNullPrototype: true } as const;

/** What is done next, by an operator or on the host. */
export type Move =
  /** An `up` to this state, whatever is live. */
  | { readonly kind: "any"; readonly to: Wanted }
  /** An `up` to another share, or another stable colour, of what runs. */
  | { readonly kind: "share"; readonly to: Wanted }
  /** An `up` to another version on one colour, or to none, with this share. */
  | { readonly kind: "release"; readonly to: Wanted; readonly colour: "blue" | "green" }
  /** The config of the `up` before the last one, as it was. */
  | { readonly kind: "prior" }
  | { readonly kind: "abort" }
  | { readonly kind: "ack" };

/** The seed of this run: TEST_SEED where it is set, so that a run can be repeated. */
export function seedOfRun(): number {
  const given = process.env["TEST_SEED"];
  return given === undefined ? randomInt(2 ** 31) : Number(given);
}

/** Draws moves; the same seed gives the same ones. */
export function drawMoves(seed: number, count: number, versions: readonly string[]): readonly Move[] {
  const version = fc.constantFrom("", ...versions);
  const colour = fc.constantFrom(...COLOURS);
  const to = fc.record(
    {
      stable: colour,
      weight: fc.constantFrom(...WEIGHTS),
      versions: fc.record({ blue: version, green: version }, PLAIN),
    },
    PLAIN,
  );
  const move: fc.Arbitrary<Move> = fc.oneof(
    { weight: 15, arbitrary: fc.record({ kind: fc.constant("any" as const), to }, PLAIN) },
    { weight: 35, arbitrary: fc.record({ kind: fc.constant("share" as const), to }, PLAIN) },
    { weight: 35, arbitrary: fc.record({ kind: fc.constant("release" as const), to, colour }, PLAIN) },
    { weight: 10, arbitrary: fc.constant({ kind: "prior" as const }) },
    { weight: 5, arbitrary: fc.constant({ kind: "abort" as const }) },
    { weight: 5, arbitrary: fc.constant({ kind: "ack" as const }) },
  );
  return fc.sample(move, { seed, numRuns: count });
}

/** The state that a move asks for, from what is live and what was asked for before; null for none. */
export function targetOf(move: Move, live: Wanted, prior: Wanted): Wanted | null {
  switch (move.kind) {
    case "any":
      return move.to;
    case "share":
      return { ...move.to, versions: live.versions };
    case "release":
      return { ...move.to, versions: { ...live.versions, [move.colour]: move.to.versions[move.colour] } };
    case "prior":
      return prior;
    case "abort":
    case "ack":
      return null;
  }
}
