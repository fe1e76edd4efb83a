import fc from "fast-check";
import { parseDatabaseUrl } from "../../config/database-url";
import { addressOf } from "../../host/database/connection";

const FORM = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

const refusal = (text: string): string => {
  try {
    parseDatabaseUrl(text);
  } catch (error) {
    return (error as Error).message;
  }
  return "accepted";
};

describe("a database's URL", () => {
  it.each([
    "postgres://postgres:secret@db.example.com:5432/postgres",
    "postgresql://postgres:secret@db.example.com/postgres",
    "postgres://postgres.abcdefgh:secret@aws-0-eu-central-1.pooler.supabase.com:5432/postgres?sslmode=require",
    "postgres://u:p@203.0.113.7/shop",
    "postgres://u:p@[2001:db8::7]:5433/shop?sslmode=verify-full",
    "postgres://u:%40%3A%2F%3F%23%25%20%5B%5D@db.example.com/shop",
    "postgres://u:p@db.example.com/shop?pgbouncer=false",
    "postgres://postgres@localhost/shop?host=/run/postgresql",
    "postgres://postgres@/shop?host=/run/postgresql",
  ])("may be %s", (text) => {
    expect(refusal(text)).toBe("accepted");
  });

  it.each<[string, string, string]>([
    ["another scheme", "mysql://u:p@db.example.com/shop", FORM],
    ["no user", "postgres://db.example.com/shop", FORM],
    ["an empty user", "postgres://:p@db.example.com/shop", "the user is missing"],
    ["no name", "postgres://u:p@db.example.com", "behind the host comes / and the name"],
    ["no name but a slash", "postgres://u:p@db.example.com/", "behind the host comes / and the name"],
    ["a port that is none", "postgres://u:p@db.example.com:70000/shop", "the port is from 1 to 65535"],
    ["a broken host", "postgres://u:p@db_1!/shop", "the host is a DNS name"],
    ["IPv6 without brackets", "postgres://u:p@2001:db8::7/shop", FORM],
    ["a socket from nowhere", "postgres://u@localhost/shop?host=run", "a unix socket"],
    ["a made-up sslmode", "postgres://u:p@db.example.com/shop?sslmode=on", "sslmode is one of disable"],
    [
      "a transaction pooler",
      "postgres://u:p@db.example.com:6543/postgres",
      "in session mode: a transaction pooler",
    ],
    ["a pooler by its parameter", "postgres://u:p@db.example.com/postgres?pgbouncer=true", "port 5432, IPv6"],
    [
      "the guide's placeholder",
      "postgresql://postgres:[password]@[host]:5432/postgres",
      "a placeholder is still in it",
    ],
    [
      "Supabase's placeholder",
      "postgresql://postgres:[YOUR-PASSWORD]@db.example.com:5432/postgres",
      "a placeholder",
    ],
  ])("with %s is refused", (_, text, rule) => {
    expect(refusal(text)).toContain(rule);
  });

  it.each([
    ["p@ss", ['"@" as %40']],
    ["a:b", ['":" as %3A']],
    ["a/b?c#d", ['"/" as %2F', '"?" as %3F', '"#" as %23']],
    ["100%", ['"%" as %25']],
    ["a b[hidden]", ['" " as %20', '"[" as %5B', '"]" as %5D']],
    ["é\u0007", ['"é" as %C3%A9', '"\\u0007" as %07']],
  ])("names what is not encoded in the password %j, and no more of it", (password, named) => {
    const message = refusal(`postgres://u:${password}@db.example.com/shop`);
    for (const one of named) expect(message).toContain(one);
    expect(message).not.toContain("hidden");
  });

  it("is understood by the host as it is here, whatever the password is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), (password) => {
        fc.pre(password.isWellFormed() && !password.includes("\0"));
        const quoted = encodeURIComponent(password);
        const text = `postgres://post.gres:${quoted}@db.example.com:5433/shop`;
        expect(refusal(text)).toBe("accepted");
        expect(addressOf(text)).toMatchObject({
          host: "db.example.com",
          port: 5433,
          user: "post.gres",
          password,
        });
      }),
    );
  });

  it("that is taken is one that the host takes, and leads to the host that is meant", () => {
    const part = fc.string({ unit: fc.constantFrom(...Array.from("ab%4@:/?#[] é&=.")), maxLength: 12 });
    fc.assert(
      fc.property(part, part, (password, rest) => {
        const text = `postgres://u:${password}@db.example.com/shop${rest}`;
        if (refusal(text) !== "accepted") return;
        expect(addressOf(text)).toMatchObject({ host: "db.example.com", user: "u" });
      }),
      { numRuns: 2000 },
    );
  });

  it("names the database, and not how it is reached", () => {
    const identityOf = (text: string) => parseDatabaseUrl(text).identity;
    const one = identityOf("postgres://u:p@db.example.com/shop");
    expect(identityOf("postgresql://u:other@DB.example.com:5432/shop?sslmode=require")).toBe(one);
    expect(one).toMatch(/^[0-9a-f]{12}$/);
    const others = [
      "postgres://v:p@db.example.com/shop",
      "postgres://u:p@db2.example.com/shop",
      "postgres://u:p@db.example.com:5433/shop",
      "postgres://u:p@db.example.com/shop2",
    ];
    expect(new Set([one, ...others.map(identityOf)]).size).toBe(5);
  });
});
