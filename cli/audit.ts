/** `candor audit`: who did what, newest first. */
import type { Command } from "commander";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { printAs, table, time } from "./print.ts";

export function addAuditCommand(program: Command): void {
  program
    .command("audit")
    .description("who did what, newest first")
    .option("--limit <number>", "how many entries at most, up to 1000", "50")
    .addHelpText(
      "after",
      `
Entries name members, tokens and subscribers by id; personal data is never written here.

Example:
  $ candor audit --limit 1000 --json`,
    )
    .action((_own, command: Command) => list(command.optsWithGlobals()));
}

async function list(options: Shared & { limit: string }): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) =>
    house.call("GET", `/v1/audit?limit=${encodeURIComponent(options.limit)}`),
  );
  const detail = (row: Json) =>
    Object.entries(row.detail ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(" ");
  printAs(options, rows, () =>
    table(
      ["at", "who", "did", "to", "detail"],
      rows.map((row) => [
        time(row.at),
        [row.actor.kind, row.actor.id].filter(Boolean).join(" "),
        row.action,
        row.subject,
        detail(row),
      ]),
      "Nothing was done yet.",
    ),
  );
}
