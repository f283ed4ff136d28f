/** `candor config`: every setting, with its meaning, its default and where its value comes from. */
import type { Command } from "commander";
import { valueOrStdin } from "./ask.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { facts, print, printAs } from "./print.ts";

export function addConfigCommands(program: Command): void {
  const config = program
    .command("config")
    .description("list, read and change settings")
    .addHelpText(
      "after",
      `
A value comes from a flag, else from the environment variable, else from the database, else it is the default. What is
set here stands in the database; secrets are encrypted there and never shown.

Examples:
  $ candor config list
  $ candor config set trusted_proxies 127.0.0.1
  $ candor config set mail.smtp_url - < smtp-url.txt           secrets stay out of the shell's history`,
    );
  config
    .command("list")
    .description("every setting")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  config
    .command("get")
    .argument("<name>")
    .description("the value alone, for scripts; of a secret, whether it is set")
    .action((name: string, _own, command: Command) => get(name, command.optsWithGlobals()));
  config
    .command("set")
    .argument("<name>")
    .argument("<value>", "the new value; - reads it from standard input")
    .description("change a setting")
    .action((name: string, value: string, _own, command: Command) => set(name, value, command.optsWithGlobals()));
  config
    .command("unset")
    .argument("<name>")
    .description("forget the stored value; the default holds again")
    .action((name: string, _own, command: Command) => unset(name, command.optsWithGlobals()));
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.call("GET", "/v1/settings"));
  printAs(options, rows, () => rows.map((row) => `${row.name}\n${indent(settingFacts(row))}`).join("\n\n"));
}

async function get(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.call("GET", pathOf(name)));
  if (options.json) return printAs(options, row, () => "");
  print(saidOf(row) || (row.secret ? "" : "\n").trim());
}

async function set(name: string, given: string, options: Shared): Promise<void> {
  const value = await valueOrStdin(given, `the value of ${name}`);
  const row = await enterHouse(options, (house) => house.call("PUT", pathOf(name), { value }));
  printAs(options, row, () => changed(row));
}

async function unset(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.call("DELETE", pathOf(name)));
  printAs(options, row, () => changed(row));
}

/** A variable or flag that stands above the database keeps what was just changed from having effect: say so. */
function changed(row: Json): string {
  const now = `${row.name} is now ${saidOf(row) || "empty"}.`;
  if (row.from === "environment") return `Stored, but without effect: ${row.variable} is set in the environment.`;
  if (row.from === "flag") return "Stored, but without effect until the next start: the server was given a flag.";
  return row.at_start ? `${now} It is taken up at the next start.` : now;
}

function settingFacts(row: Json): string {
  return facts([
    ["value", saidOf(row) || "(empty)"],
    ["from", row.from],
    ["default", row.default || "(empty)"],
    ["variable", row.variable],
    ["secret", row.secret ? "yes: encrypted, never shown" : ""],
    ["meaning", row.meaning],
  ]);
}

function saidOf(row: Json): string {
  return row.secret ? (row.is_set ? "set" : "") : row.value;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

function pathOf(name: string): string {
  return `/v1/settings/${encodeURIComponent(name)}`;
}
