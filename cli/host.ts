/** `candor host`: the names under which a page is served. */
import type { Command } from "commander";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { printAs, table, time } from "./print.ts";

export function addHostCommands(program: Command): void {
  const host = program
    .command("host")
    .description("list and add the host names of a page")
    .addHelpText(
      "after",
      `
A request for a host name that isn't listed is refused. Links in letters and pages begin with the first one.

Examples:
  $ candor host add status.example.com
  $ candor host add http://127.0.0.1:8080                      plain http, for one's own machine`,
    );
  host
    .command("list")
    .description("the page's hosts, the one that links begin with first")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  host
    .command("add")
    .argument("<host>", "a name (https is meant), or an address like http://127.0.0.1:8080")
    .description("serve the page under one more name")
    .action((name: string, _own, command: Command) => add(name, command.optsWithGlobals()));
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.ask("GET", "/hosts"));
  printAs(options, rows, () =>
    table(
      ["address", "purpose", "added"],
      rows.map((row) => [row.origin, row.purpose, time(row.created_at)]),
      "The page has no host.",
    ),
  );
}

async function add(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("POST", "/hosts", { host: { name } }));
  printAs(options, row, () => `The page is served at ${row.origin} now.`);
}
