/** `candor key`: the recovery kit, and the way back from it to a key file. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { openKeyring, readKeyFile } from "../src/crypto/keyring.ts";
import { readKit, restoreKeyFile, writeKit } from "../src/crypto/recovery-kit.ts";
import { refuseKeyInside } from "../src/founding.ts";
import { readStdin } from "./ask.ts";
import { type Shared, whereOf } from "./house.ts";
import { printAs } from "./print.ts";

export function addKeyCommands(program: Command): void {
  const key = program
    .command("key")
    .description("print the recovery kit, and restore the key from it")
    .addHelpText(
      "after",
      `
Without the key file nobody reads the data, you included. Keep the recovery kit off this machine.

Examples:
  $ candor key kit
  $ candor key restore --key-file /etc/candor.key              then type or paste the four lines`,
    );
  key
    .command("kit")
    .description("print the recovery kit of the key file again")
    .action((_own, command: Command) => kit(command.optsWithGlobals()));
  key
    .command("restore")
    .description("write the key file again from the recovery kit, read from standard input")
    .addHelpText(
      "after",
      `
Each line's checksum is verified, and the key against the keyring in the data folder where there is one. A file that
holds another key is never written over.

Example:
  $ candor key restore --data /var/lib/candor --key-file /etc/candor.key < kit.txt`,
    )
    .action((_own, command: Command) => restore(command.optsWithGlobals()));
}

function kit(options: Shared): void {
  const { data, keyFile, guarded } = whereOf(options);
  const kek = readKeyFile(keyFile, guarded);
  const keyring = join(data, "keyring.json");
  // A kit of the wrong key would be found out on the day when it is needed.
  if (existsSync(keyring)) openKeyring(keyring, kek);
  const made = writeKit(kek);
  printAs(options, made, () => kitWords(made));
}

async function restore(options: Shared): Promise<void> {
  const where = whereOf(options);
  refuseKeyInside(where);
  const kek = readKit(await readStdin("Type or paste the four lines of your recovery kit, then press Ctrl-D."));
  const outcome = restoreKeyFile({ ...where, keyring: join(where.data, "keyring.json"), kek });
  const { fingerprint } = writeKit(kek);
  const done = outcome === "written" ? "The key was written to" : "The key is there already:";
  printAs(
    options,
    { key_file: where.keyFile, fingerprint, outcome },
    () => `${done} ${where.keyFile} (fingerprint ${fingerprint}).`,
  );
}

export function kitWords(made: { fingerprint: string; lines: string[] }): string {
  return ["Candor recovery kit", `Fingerprint ${made.fingerprint}`, "", ...made.lines.map((line) => `  ${line}`)].join(
    "\n",
  );
}
