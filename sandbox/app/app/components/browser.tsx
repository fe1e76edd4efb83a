"use client";

import { useState } from "react";

/** Says which release's code runs in the browser: that of the page's chunks, which change from version to version. */
export function Browser() {
  const [count, setCount] = useState(0);
  return (
    <button type="button" onClick={() => setCount(count + 1)}>
      {`Browser code of ${process.env.BUILT_VERSION}; ${count} clicks`}
    </button>
  );
}
