import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createSecureContext, createServer } from "node:tls";
import type { BackupManifest } from "../../../../host/database/protocol";
import { DatabaseStore } from "../../../../host/database/state";
import { Complaints } from "../../../../host/monitoring/complaints";
import { lastBackup } from "../../../../host/monitoring/figures/backup";
import { certificateEnd } from "../../../../host/monitoring/figures/certificate";
import { makePair } from "../support/fake-certificates";
import { removeDirectories, temporaryDirectory } from "../support/fixtures";

/* What has to be done again and again: backups, and a certificate's renewal. */

afterAll(removeDirectories);

const told: string[] = [];
const complaints = new Complaints((line) => told.push(line));
beforeEach(() => void told.splice(0));

describe("the last backup", () => {
  const CONFIGURED = new Date("2026-05-01T10:00:00Z");
  const TAKEN = "2026-05-05T00:12:00.000Z";
  const manifest = { name: "20260505/shop-20260505T001200Z", takenAt: TAKEN } as BackupManifest;

  /** What a host knows that was told of a database. */
  function known(): { store: DatabaseStore; directory: string } {
    const directory = join(temporaryDirectory(), "database");
    mkdirSync(directory);
    const settings = join(directory, "settings.json");
    writeFileSync(settings, "{}");
    utimesSync(settings, CONFIGURED, CONFIGURED);
    return { store: new DatabaseStore(directory), directory };
  }

  it("is none of a site without a database, one that it had before included", async () => {
    const store = new DatabaseStore(join(temporaryDirectory(), "database"));
    expect(await lastBackup(store, complaints)).toBeNull();
    await store.update({ backup: manifest });
    expect(await lastBackup(store, complaints)).toBeNull();
  });

  it("is as old as the database's settings until there is one: one that never comes is late", async () => {
    const { store } = known();
    expect(await lastBackup(store, complaints)).toEqual(CONFIGURED);
    await store.update({ schemaVersion: "001" });
    expect(await lastBackup(store, complaints)).toEqual(CONFIGURED);
  });

  it("is as old as its snapshot, whatever was told of the database since", async () => {
    const { store, directory } = known();
    await store.update({ backup: manifest });
    utimesSync(join(directory, "settings.json"), new Date(), new Date());
    expect(await lastBackup(store, complaints)).toEqual(new Date(TAKEN));
  });

  it("that nobody can tell of counts as none, which is told once, and its end", async () => {
    const { store, directory } = known();
    writeFileSync(join(directory, "state.json"), "{");
    for (let look = 0; look < 3; look++) expect(await lastBackup(store, complaints)).toEqual(CONFIGURED);
    expect(told).toEqual([expect.stringMatching(/state\.json is damaged; remove it/)]);
    writeFileSync(join(directory, "state.json"), "{}");
    await lastBackup(store, complaints);
    expect(told).toHaveLength(2);
  });
});

describe("the certificate's end", () => {
  it("is that of what is shown for the domain, a name below a wildcard's, and not of any other", async () => {
    const from = new Date("2026-05-01T00:00:00Z");
    const [first, shown] = await Promise.all([
      makePair(["other.test"], { from, days: 10 }),
      makePair(["*.a.test"], { from, days: 90 }),
    ]);
    const server = createServer({
      ...{ key: first.key, cert: first.chain },
      SNICallback: (name, done) => {
        const isShown = name.endsWith(".a.test");
        done(null, isShown ? createSecureContext({ key: shown.key, cert: shown.chain }) : undefined);
      },
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    expect(await certificateEnd("*.a.test", port)).toEqual(new Date("2026-07-30T00:00:00Z"));
    expect(await certificateEnd("other.test", port)).toEqual(new Date("2026-05-11T00:00:00Z"));
    await new Promise((resolve) => void server.close(resolve));
    expect(await certificateEnd("*.a.test", port)).toBeNull();
  });
});
