/** `candor cert`: certificates of one's own for https. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { note, printAs, table } from "./print.ts";

export function addCertCommands(program: Command): void {
  const cert = program
    .command("cert")
    .description("import, list and remove certificates for https")
    .addHelpText(
      "after",
      `
A certificate is checked before it is kept: its key, its dates, and that its chain leads to an authority that browsers
know, or to your own. A running server serves it from the next connection on. A host takes, of those that haven't expired,
one for its very name before a wildcard, until its renewal is overdue, and the one that came last; so import the next one
before the old one expires. An old one that was imported stays until it is removed.

Examples:
  $ candor cert import --chain fullchain.pem --key privkey.pem
  $ candor cert import --chain chain.pem --key key.pem --authority our-root.pem
  $ candor serve --http '[::]:80' --https '[::]:443'`,
    );
  cert
    .command("import")
    .description("check a certificate and serve it")
    .option("--chain <file>", "PEM: the certificate and its intermediates (required)")
    .option("--key <file>", "PEM: its private key (required)")
    .option("--authority <file>", "PEM: the root of an authority of your own")
    .action((_own, command: Command) => take(command.optsWithGlobals()));
  cert
    .command("list")
    .description("every certificate, the one that came last first")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  cert
    .command("remove")
    .argument("<id>", "the certificate's id, from the list")
    .description("forget a certificate and its key")
    .action((id: string, _own, command: Command) => remove(id, command.optsWithGlobals()));
}

async function take(options: Shared & { chain?: string; key?: string; authority?: string }): Promise<void> {
  if (!options.chain || !options.key) {
    throw new UserError("invalid", "Name the certificate and its key: --chain fullchain.pem --key privkey.pem");
  }
  const certificate = {
    chain: read(options.chain),
    key: read(options.key),
    ...(options.authority === undefined ? {} : { authority: read(options.authority) }),
  };
  const { row, others, https } = await enterHouse(options, async (house) => ({
    row: await house.call("POST", "/v1/certificates", { certificate }),
    others: (await house.call("GET", "/v1/certificates")) as Json[],
    https: (await house.call("GET", "/v1/settings/https.listen")).value as string,
  }));
  printAs(options, row, () => `Imported ${row.id} for ${row.names.join(", ")}, valid until ${day(row.not_after)}.`);
  if (row.hosts.length === 0) {
    note("None of this house's hosts has one of its names: nobody is served with it. candor host list shows them.");
  }
  for (const other of others.filter(({ id }) => id !== row.id)) {
    const kept = other.serves.filter((host: string) => row.hosts.includes(host));
    if (kept.length > 0)
      note(
        `${kept.join(", ")} stays with ${other.id}, which goes before it. To end that: candor cert remove ${other.id}`,
      );
  }
  if (https === "")
    note("Candor doesn't listen for https yet: candor serve --https '[::]:443', or candor config set https.listen.");
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const advice = code === "EACCES" ? "Run this as a user who may read it." : "Check the path.";
    throw new UserError("invalid", `${file} can't be read (${code}). ${advice}`);
  }
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.call("GET", "/v1/certificates"));
  printAs(options, rows, () =>
    table(
      ["id", "state", "until", "issuer", "names", "serves"],
      rows.map((row) => [
        row.id,
        row.state,
        day(row.not_after),
        row.issuer,
        row.names.join(" "),
        row.serves.join(" ") || "no host",
      ]),
      "There is no certificate. Bring one with: candor cert import --chain FILE --key FILE",
    ),
  );
}

async function remove(id: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.call("DELETE", `/v1/certificates/${encodeURIComponent(id)}`));
  printAs(options, row, () => `Removed ${row.id}. Its names were ${row.names.join(", ")}.`);
}

function day(iso: string): string {
  return iso.slice(0, 10);
}
