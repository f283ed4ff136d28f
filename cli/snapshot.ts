/** `candor snapshot`: the whole database in one encrypted file, while it is in use. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Shared } from "./house.ts";
import { note, print, printAs } from "./print.ts";

export function addSnapshotCommand(program: Command): void {
  program
    .command("snapshot")
    .argument("[file]", "the new file; left out: one named by the time, in snapshots/ of the data folder")
    .description("copy the whole database into one encrypted file, and its keyring beside it")
    .addHelpText(
      "after",
      `
The copy is taken while the server runs. It is encrypted with the same keys, so it opens with the same key file. An
existing file is never written over.

To restore: stop the server, put the copy in the data folder as candor.db and the keyring as keyring.json, remove
candor.db-wal and candor.db-shm, start.

Example:
  $ candor snapshot /backups/candor-$(date +%F).db`,
    )
    .action((file: string | undefined, _own, command: Command) => take(file, command.optsWithGlobals()));
}

async function take(file: string | undefined, options: Shared): Promise<void> {
  // The server's working folder isn't ours.
  const body = file === undefined ? {} : { file: resolve(file) };
  const made = await enterHouse(options, (house) => house.call("POST", "/v1/snapshots", body));
  if (!existsSync(made.file)) {
    throw new UserError(
      "conflict",
      `The server wrote ${made.file}, but it can't be seen from here: the server has a folder of its own under that name (systemd's PrivateTmp, a container). Name one that both see.`,
    );
  }
  if (options.json) return printAs(options, made, () => "");
  print(made.file);
  note(`${(made.bytes / 1e6).toFixed(1)} MB, with its keyring in ${made.keyring}.`);
}
