/**
 * The cookies of one virtual user, by name. A load run talks to one site, so that `Domain` and `Path` have nothing
 * to decide. `Max-Age=0`, or less, drops a cookie.
 */
export class CookieJar {
  private readonly values = new Map<string, string>();

  /**
   * Takes one `Set-Cookie` value.
   * @returns whether what {@link CookieJar.header} gives has changed
   */
  take(setCookie: string): boolean {
    const [pair = "", ...attributes] = setCookie.split(";");
    const equals = pair.indexOf("=");
    if (equals < 1) return false;
    const name = pair.slice(0, equals).trim();
    const value = pair.slice(equals + 1).trim();
    if (attributes.some((attribute) => /^\s*max-age\s*=\s*(0+|-\d+)\s*$/i.test(attribute)))
      return this.values.delete(name);
    if (this.values.get(name) === value) return false;
    this.values.set(name, value);
    return true;
  }

  /** Value of the `Cookie` header, or an empty string. */
  header(): string {
    return [...this.values].map(([name, value]) => `${name}=${value}`).join("; ");
  }
}
