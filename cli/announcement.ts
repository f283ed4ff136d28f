/** `candor announcement`: what was told to how many, and the word that a held one waits for. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { count, printAs, table, time } from "./print.ts";

export function addAnnouncementCommands(program: Command): void {
  const announcement = program
    .command("announcement")
    .description("see what was told to how many; release or drop what is held")
    .addHelpText(
      "after",
      `
An announcement that would make far more letters than the page's subscribers explain (mail.burst_factor) is held until
somebody decides.

Examples:
  $ candor announcement list
  $ candor announcement send 17`,
    );
  announcement
    .command("list")
    .description("announcements, newest first")
    .option("--limit <number>", "how many at most, up to 100", "20")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  announcement
    .command("send")
    .argument("<id>", "its number")
    .description("release a held announcement: its letters are sent")
    .action((id: string, _own, command: Command) => decide(id, "send", command.optsWithGlobals()));
  announcement
    .command("drop")
    .argument("<id>", "its number")
    .description("drop a held announcement: nobody is told by mail, the page stays as it is")
    .action((id: string, _own, command: Command) => decide(id, "drop", command.optsWithGlobals()));
}

async function list(options: Shared & { limit: string }): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) =>
    house.ask("GET", `/announcements?limit=${encodeURIComponent(options.limit)}`),
  );
  const letters = (row: Json) =>
    Object.entries(row.letters)
      .map(([state, number]) => `${number} ${state}`)
      .join(", ");
  printAs(options, rows, () =>
    table(
      ["id", "decided", "state", "people", "letters", "incident"],
      rows.map((row) => [row.id, time(row.created_at), row.state, row.audience, letters(row), row.incident_name]),
      "Nothing was announced yet.",
    ),
  );
}

async function decide(id: string, decision: "send" | "drop", options: Shared): Promise<void> {
  if (!/^\d{1,15}$/.test(id))
    throw new UserError("invalid", "Give the announcement's number, from candor announcement list.");
  const row = await enterHouse(options, (house) =>
    house.ask("POST", `/announcements/${encodeURIComponent(id)}/${decision}`, {}),
  );
  const outcome =
    decision === "send" ? `${count(row.audience, "person is", "people are")} told by mail.` : "Nobody is told by mail.";
  printAs(options, row, () => outcome);
}
