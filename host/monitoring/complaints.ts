/**
 * What goes wrong, by what it is about. The journal hears of each kind of trouble once, and of its end; what lasts for a
 * night is no thousand lines.
 */
export class Complaints {
  private readonly open = new Map<string, { readonly kinds: Set<string>; at: string; reason: string }>();

  /** @param tell Writes a line to the journal. */
  constructor(
    private readonly tell: (line: string) => void,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /**
   * Something goes wrong.
   * @param kind What makes two troubles the same one; the reason, without its numbers, by default.
   */
  begin(about: string, reason: string, kind = reason.replace(/\d+/g, "")): void {
    const at = this.now().toISOString();
    const known = this.open.get(about) ?? { kinds: new Set<string>(), at, reason };
    if (!known.kinds.has(kind)) this.tell(`${about}: ${reason}`);
    known.kinds.add(kind);
    this.open.set(about, Object.assign(known, { at, reason }));
  }

  /** It goes well. */
  end(about: string): void {
    if (this.open.delete(about)) this.tell(`${about}: well again`);
  }

  /** What goes wrong now, the newest of it; null for nothing. */
  get current(): { readonly at: string; readonly reason: string } | null {
    const [first] = [...this.open].sort(([, one], [, other]) => (one.at < other.at ? 1 : -1));
    return first === undefined ? null : { at: first[1].at, reason: `${first[0]}: ${first[1].reason}` };
  }
}
