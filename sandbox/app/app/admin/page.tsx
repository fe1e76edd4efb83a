import { Release } from "../components/release";
import { database } from "../../server/database";

export const dynamic = "force-dynamic";

export default function Administration() {
  return (
    <main>
      <h1>Administration</h1>
      <p>{`Database: ${database() === null ? "none" : "configured"}`}</p>
      <Release />
    </main>
  );
}
