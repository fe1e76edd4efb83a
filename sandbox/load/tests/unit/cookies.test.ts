import { CookieJar } from "../../cookies";

test.each<[string[], string]>([
  [[], ""],
  [["a=1; Path=/; HttpOnly; SameSite=Lax"], "a=1"],
  [["a=1", "b=2", "a=3"], "a=3; b=2"],
  [["a=x=y=="], "a=x=y=="],
  [["a="], "a="],
  [["=1", "nonsense", ""], ""],
  [["a=1", "b=2", "a=; Max-Age=0"], "b=2"],
  [["a=1; max-age=10"], "a=1"],
  [["a=1", "a=; Max-Age=-1; Path=/"], ""],
])("%j gives %j", (setCookies, header) => {
  const jar = new CookieJar();
  for (const setCookie of setCookies) jar.take(setCookie);
  expect(jar.header()).toBe(header);
});

test.each([
  ["b=1", true],
  ["a=2", true],
  ["a=1; Path=/", false],
  ["a=; Max-Age=0", true],
  ["c=; Max-Age=0", false],
])("with a=1 there, %j changes the header: %s", (setCookie, changed) => {
  const jar = new CookieJar();
  jar.take("a=1");
  expect(jar.take(setCookie)).toBe(changed);
});
