import { renderPlainSite } from "../../plain-site";

const site = { port: 8443, domain: "a.test", certificate: "/c.pem", key: "/k.pem" };

// Nginx rejects `weight=0`.
test.each([
  [0, "weight=100", "down"],
  [5, "weight=95", "weight=5"],
  [100, "down", "weight=100"],
])("weight %i: blue %s, green %s", (weight, blue, green) => {
  const text = renderPlainSite({ ...site, weight });
  expect(text).toContain(`server 127.0.0.1:3001 max_fails=0 ${blue};`);
  expect(text).toContain(`server 127.0.0.1:3002 max_fails=0 ${green};`);
});
