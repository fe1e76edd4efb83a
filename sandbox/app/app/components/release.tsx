import { identityOf } from "../../lib/identity";
import { Browser } from "./browser";

/** Says which release made the page. */
export function Release() {
  const { version, colour } = identityOf(process.env);
  return (
    <footer>
      <p>
        {/* One string, so that nothing stands between its words in the page's source. */}
        {`Version ${version}, ${colour}.`}
      </p>
      <Browser />
    </footer>
  );
}
