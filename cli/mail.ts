/** `candor mail`: what became of each letter, and whether the mail server takes one. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { facts, note, print, printAs, table, time } from "./print.ts";

export function addMailCommands(program: Command): void {
  const mail = program
    .command("mail")
    .description("see, retry, drop and test letters")
    .addHelpText(
      "after",
      `
States: queued, leased (under way), sent, kept (no mail server is set: it can be read here), deferred (tried again later),
bounced (refused for good), suppressed (not wanted any more), superseded, held.

Examples:
  $ candor mail queue
  $ candor mail list --state bounced
  $ candor mail test you@example.com`,
    );
  mail
    .command("queue")
    .description("how many letters wait, and whether the mail server can be had")
    .action((_own, command: Command) => queue(command.optsWithGlobals()));
  mail
    .command("list")
    .description("letters, newest first")
    .option("--state <state>", "only those in this state")
    .option("--before <id>", "go on after this letter of an earlier list")
    .option("--limit <number>", "how many at most, up to 100", "50")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  mail
    .command("show")
    .argument("<id>", "the letter's number")
    .description("one letter: to whom, when, what the server said; the text of a kept one (--json has its source)")
    .action((id: string, _own, command: Command) => show(id, command.optsWithGlobals()));
  mail
    .command("retry")
    .argument("<id>", "the letter's number")
    .description("try a letter again now, its attempts forgotten")
    .action((id: string, _own, command: Command) => decide(id, "retry", command.optsWithGlobals()));
  mail
    .command("drop")
    .argument("<id>", "the letter's number")
    .description("take a waiting letter out of the queue; it is sent to nobody")
    .action((id: string, _own, command: Command) => decide(id, "drop", command.optsWithGlobals()));
  mail
    .command("test")
    .argument("<address>")
    .description("reach the mail server, send one letter, and say what happened; exit 1 when it wasn't taken")
    .action((address: string, _own, command: Command) => test(address, command.optsWithGlobals()));
}

async function queue(options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("GET", "/mail/queue"));
  printAs(options, row, () =>
    facts([
      ["Queued", row.queued],
      ["Under way", row.leased],
      ["Deferred", row.deferred],
      ["Held", row.held],
      ["Mail server", row.paused ? `can't be had: ${row.paused}` : ""],
      ["Tried again", time(row.retry_at)],
    ]),
  );
}

async function list(options: Shared & { state?: string; before?: string; limit: string }): Promise<void> {
  const query = new URLSearchParams({ limit: options.limit });
  if (options.state) query.set("state", options.state);
  if (options.before) query.set("before", options.before);
  const rows: Json[] = await enterHouse(options, (house) => house.ask("GET", `/mail?${query}`));
  printAs(options, rows, () =>
    table(
      ["id", "written", "state", "kind", "tries", "address"],
      rows.map((row) => [row.id, time(row.created_at), row.state, row.kind, row.attempts, row.email]),
      options.state ? `No letter is ${options.state}.` : "No letter was written yet.",
    ),
  );
}

async function show(id: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("GET", pathOf(id)));
  printAs(options, row, () => letterFacts(row));
  if (!options.json && row.text) print(`\n${row.text}`);
}

async function decide(id: string, decision: "retry" | "drop", options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) =>
    decision === "retry" ? house.ask("POST", `${pathOf(id)}/retry`, {}) : house.ask("DELETE", pathOf(id)),
  );
  const done = decision === "retry" ? "is in the queue again" : "is out of the queue; it is sent to nobody";
  printAs(options, row, () => `Letter ${row.id} ${done}.`);
}

async function test(address: string, options: Shared): Promise<void> {
  const late = setTimeout(() => note("Asking the mail server …"), 300);
  const ask = enterHouse(options, (house) => house.ask("POST", "/mail/test", { email: address }), { delivers: true });
  const seen = await ask.finally(() => clearTimeout(late));
  printAs(options, seen, () => `${serverWords(seen.server)}\n\n${letterFacts(seen.letter, seen.sender)}`);
  const { id, state } = seen.letter;
  if (["queued", "deferred"].includes(state))
    note(`It waits and is tried again. To take it out: candor mail drop ${id}`);
  if (!["sent", "kept"].includes(state)) process.exitCode = 1;
}

function serverWords(server: Json): string {
  if (server.outcome === "not_configured")
    return "No mail server is set (mail.smtp_url), so the letter is kept and can be read here.";
  if (server.outcome !== "reached") {
    if (server.reply.startsWith("The mail server")) return server.reply;
    return `${/^\d{3}[ -]/.test(server.reply) ? "The mail server refuses us" : "The mail server can't be had"}: ${server.reply}`;
  }
  const tls = server.verified ? "over verified TLS" : "over TLS (on this machine, so its certificate isn't checked)";
  const how = server.encrypted ? tls : "in clear";
  return `The mail server was reached ${how}, ${server.signed_in ? "signed in" : "without signing in"}.`;
}

function letterFacts(row: Json, sender?: string): string {
  return facts([
    ["Letter", row.id],
    ["State", row.state],
    ["Kind", row.kind],
    ["From", sender],
    ["Address", row.email],
    ["Subject", row.subject],
    ["Written", time(row.created_at)],
    [row.state === "kept" ? "Kept" : "Sent", time(row.sent_at)],
    ["Tries", row.attempts],
    ["Next try", time(row.next_attempt_at)],
    ["Server said", row.reply],
  ]);
}

function pathOf(id: string): string {
  if (!/^\d{1,15}$/.test(id)) throw new UserError("invalid", "Give the letter's number, from candor mail list.");
  return `/mail/${id}`;
}
