import { Release } from "../../components/release";
import { events } from "../../../server/database";

export const dynamic = "force-dynamic";

export default async function Wallet() {
  const balance = await events().balance();
  return (
    <main>
      <h1>Wallet</h1>
      <p>{`Balance: ${balance}`}</p>
      <Release />
    </main>
  );
}
