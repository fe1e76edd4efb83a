import { isDeepStrictEqual } from "node:util";
import type { FileBackend, StackReference } from "../state/backend";
import {
  checkpointPieces,
  hasSecrets,
  writeCheckpoint,
  WrittenState,
  type CheckpointFile,
} from "../state/checkpoint";
import type { Crypter } from "../state/crypter";
import { verifyResources, type Snapshot } from "../state/snapshot";

/** Where a deployment's snapshot is written to while it runs. */
export interface Journal {
  /** Resolves when everything that the snapshot holds at the time of the call is on the disk. */
  save(): Promise<void>;
}

/** A journal that writes checkpoint files. Calls that come while a file is being written share the next one. */
export class FileJournal implements Journal {
  private writing: Promise<void> | undefined;
  private next: Promise<void> | undefined;
  private readonly written = new WrittenState();

  constructor(
    private readonly backend: FileBackend,
    private readonly reference: StackReference,
    private readonly stack: string,
    private readonly snapshot: Snapshot,
    private readonly secrets: { readonly salt: string | undefined; readonly crypter: () => Promise<Crypter> },
    private last: CheckpointFile,
  ) {}

  async save(): Promise<void> {
    if (!this.writing) {
      await this.start();
      return;
    }
    // The file that is being written may lack what the caller wants saved, so that it needs the one after.
    this.next ??= this.writing.then(
      () => this.start(),
      () => this.start(),
    );
    await this.next;
  }

  /** Writes the last state where it differs from what the file has, and checks it. */
  async finish(): Promise<void> {
    if (this.writing) await this.writing;
    const file = await this.render();
    if (!sameState(file, this.last)) await this.save();
    verifyResources(this.snapshot.resources);
  }

  private start(): Promise<void> {
    this.next = undefined;
    this.writing = this.write().finally(() => {
      this.writing = undefined;
    });
    return this.writing;
  }

  private async write(): Promise<void> {
    const file = await this.render();
    await this.backend.save(this.reference, file, checkpointPieces(file, this.written));
    this.last = file;
  }

  private async render(): Promise<CheckpointFile> {
    const { resources, pendingOperations } = this.snapshot;
    const state = { resources, pendingOperations, salt: this.secrets.salt };
    const crypter = hasSecrets(state) ? await this.secrets.crypter() : undefined;
    return writeCheckpoint(this.stack, state, crypter, new Date(), this.written);
  }
}

function sameState(a: CheckpointFile, b: CheckpointFile): boolean {
  const content = ({ checkpoint: { latest } }: CheckpointFile): unknown => [
    latest?.resources ?? [],
    latest?.pending_operations ?? [],
    latest?.secrets_providers,
  ];
  return isDeepStrictEqual(content(a), content(b));
}
