/** `candor page`: the page's name, description and zone. */
import type { Command } from "commander";
import { requireSome } from "./ask.ts";
import { enterHouse, type Shared } from "./house.ts";
import { facts, printAs } from "./print.ts";

type Fields = Shared & { name?: string; description?: string; timeZone?: string; supportUrl?: string };

export function addPageCommands(program: Command): void {
  const page = program
    .command("page")
    .description("show and change the page")
    .addHelpText(
      "after",
      `
Examples:
  $ candor page show
  $ candor page change --name "Acme" --time-zone Europe/Berlin --support-url mailto:help@example.com`,
    );
  page
    .command("show")
    .description("the page")
    .action((_own, command: Command) => show(command.optsWithGlobals()));
  page
    .command("change")
    .description("change what is given and leave the rest")
    .option("--name <name>", "the page's name, in every title and letter")
    .option("--description <text>", "a sentence below the name; empty removes it")
    .option("--time-zone <zone>", "the zone that days begin in, like Europe/Berlin")
    .option("--support-url <url>", "where visitors find help; empty removes it")
    .action((_own, command: Command) => change(command.optsWithGlobals()));
}

async function show(options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("GET", ""));
  printAs(options, row, () =>
    facts([
      ["Id", row.id],
      ["Name", row.name],
      ["Description", row.page_description],
      ["Address", row.url],
      ["Time zone", row.time_zone],
      ["Support", row.support_url],
    ]),
  );
}

async function change(options: Fields): Promise<void> {
  const { name, description, timeZone, supportUrl } = options;
  const fields = { name, page_description: description, time_zone: timeZone, support_url: supportUrl };
  requireSome(fields, "candor page change");
  const row = await enterHouse(options, (house) => house.ask("PATCH", "", { page: fields }));
  printAs(options, row, () => `Changed ${row.name}.`);
}
