/** `candor host`: the names under which a page is served. */
import type { Command } from "commander";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { printAs, table } from "./print.ts";

export function addHostCommands(program: Command): void {
  const host = program
    .command("host")
    .description("list, add, order and remove the host names of a page")
    .addHelpText(
      "after",
      `
A request for a host name that isn't listed is refused. Links in letters and pages begin with the first one.

Examples:
  $ candor host add status.example.com
  $ candor host add http://127.0.0.1:8080                      plain http, for one's own machine
  $ candor host first status.example.com`,
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
  host
    .command("first")
    .argument("<host>", "one of the page's hosts")
    .description("let links in letters and pages begin with this one")
    .action((name: string, _own, command: Command) => putFirst(name, command.optsWithGlobals()));
  host
    .command("remove")
    .argument("<host>", "one of the page's hosts, but the last")
    .description("serve the page no longer under this name; links that were sent with it end")
    .action((name: string, _own, command: Command) => remove(name, command.optsWithGlobals()));
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.ask("GET", "/hosts"));
  printAs(options, rows, () =>
    table(
      ["address", "purpose", "links"],
      rows.map((row, index) => [row.origin, row.purpose, index === 0 ? "begin with it" : ""]),
      "The page has no host.",
    ),
  );
}

async function add(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("POST", "/hosts", { host: { name } }));
  printAs(options, row, () => `The page is served at ${row.origin} now.`);
}

async function putFirst(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("PUT", "/hosts/first", { host: { name } }));
  printAs(options, row, () => `Links begin with ${row.origin} now.`);
}

async function remove(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("DELETE", `/hosts/${encodeURIComponent(name)}`));
  printAs(options, row, () => `The page isn't served at ${row.origin} any more.`);
}
