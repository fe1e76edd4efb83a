import Link from "next/link";

import { Release } from "./components/release";

/** The colour is the process's, so no page may be made at build time. */
export const dynamic = "force-dynamic";

export default function Home() {
  return (
    <main>
      <h1>Vehicle service</h1>
      <Link href="/business/wallet">Wallet</Link>
      <Release />
    </main>
  );
}
