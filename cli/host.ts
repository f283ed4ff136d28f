/** `candor host`: the names under which a page is served. */
import type { Command } from "commander";
import { enterHouse, flagsFor, type Json, type Shared, whereOf } from "./house.ts";
import { facts, note, printAs, table, time } from "./print.ts";

export function addHostCommands(program: Command): void {
  const host = program
    .command("host")
    .description("list, add, order and remove the host names of a page, and see to their certificates")
    .addHelpText(
      "after",
      `
A request for a host name that isn't listed is refused. Links in letters and pages begin with the first one. A running
server with --https and acme.contact gets and renews the certificate of each https host by itself. A test asks
acme.test_directory; where that is empty, Let's Encrypt's staging service, which costs nothing of its limits, if acme.directory
is Let's Encrypt's, and else acme.directory itself, whose limits it counts against.

Examples:
  $ candor host add status.example.com
  $ candor host add http://127.0.0.1:8080                      plain http, for one's own machine
  $ candor host show status.example.com                        its certificate, and whether it leads here
  $ candor host test status.example.com                        whether one can be had; nothing of it is served
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
    .command("show")
    .argument("<host>", "one of the page's hosts")
    .description(
      "its certificate, what is planned, what went wrong, the account that CAA records may name, and whether it leads to this server",
    )
    .action((name: string, _own, command: Command) => show(name, command.optsWithGlobals()));
  host
    .command("renew")
    .argument("<host>", "one of the page's hosts")
    .description("order its certificate now; the one in service stays until the next is there")
    .option("--no-wait", "don't wait for the outcome")
    .action((name: string, _own, command: Command) => order(name, "serve", command.optsWithGlobals()));
  host
    .command("test")
    .argument("<host>", "one of the page's hosts")
    .description("order a certificate to see whether one can be had, and throw it away")
    .option("--no-wait", "don't wait for the outcome")
    .action((name: string, _own, command: Command) => order(name, "test", command.optsWithGlobals()));
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
    [
      table(
        ["address", "links", "certificate", "until", "next step"],
        rows.map((row, index) => [
          row.origin,
          index === 0 ? "begin with it" : "",
          row.certificate?.state,
          time(row.certificate?.not_after),
          time(row.certificate?.next_at),
        ]),
        "The page has no host.",
      ),
      ...rows.filter(isTroubled).map((row) => `${row.name}: ${sayStanding(row)}`),
    ].join("\n"),
  );
}

async function show(name: string, options: Shared): Promise<void> {
  const { row, isServed } = await enterHouse(options, async (house) => ({
    row: await house.ask("GET", `/hosts/${encodeURIComponent(name)}`),
    isServed: house.isServed,
  }));
  printAs(options, row, () =>
    facts([
      ["Address", row.origin],
      ["Certificate", row.certificate?.state ?? "none is held by this server"],
      ["Issuer", row.certificate?.issuer],
      ["Valid until", time(row.certificate?.not_after)],
      ["Next step", time(row.certificate?.next_at)],
      [labelFor(row.certificate), row.certificate?.words],
      ["What to do", row.certificate?.advice],
      ["Account", isByAcme(row, isServed) ? row.account : null],
      ["Leads here", leadsHere(row, isServed, options)],
    ]),
  );
}

/** Without a server nothing is planned, but its next one goes on. */
function isByAcme({ certificate }: Json, isServed: boolean): boolean {
  return certificate !== null && (certificate.next_at !== null || !isServed);
}

function labelFor(certificate: Json): string {
  if (certificate?.problem) return "Trouble";
  return certificate?.next_at ? "Going on" : "Note";
}

function leadsHere(row: Json, isServed: boolean, options: Shared): string {
  const obstacles: string[] | null = row.obstacles;
  if (obstacles === null)
    return isServed || !isSecure(row) ? "" : `No server runs here, so this can't be tried. ${startIt(options)}`;
  return obstacles.length === 0 ? "yes" : obstacles.join(" ");
}

function startIt(options: Shared): string {
  const serve = `candor serve${flagsFor(whereOf(options))}`;
  return `Start it: ${serve} --http '[::]:80' --https '[::]:443' (behind a proxy: ${serve})`;
}

function isSecure(row: Json): boolean {
  return row.origin.startsWith("https:");
}

function isTroubled(row: Json): boolean {
  return typeof row.certificate?.words === "string";
}

function sayStanding(row: Json): string {
  const { words, advice } = row.certificate;
  return [words, advice].filter(Boolean).join(" ");
}

/** The longest that a person waits at the terminal; the server goes on without them. */
const patienceMs = 180_000;

async function order(name: string, purpose: "serve" | "test", options: Shared & { wait: boolean }): Promise<void> {
  const path = `/hosts/${encodeURIComponent(name)}/orders`;
  const made: Json = await enterHouse(options, (house) => house.ask("POST", path, { order: { purpose } }));
  let row = made;
  const until = performance.now() + patienceMs;
  if (options.wait) note(`Asking ${row.authority} for a certificate of ${row.name} …`);
  while (options.wait && row.state === "open" && row.words === null && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const rows: Json[] = await enterHouse(options, (house) => house.ask("GET", path));
    row = rows.find((known) => known.id === made.id) ?? row;
  }
  printAs(options, row, () => sayOutcome(row, { host: name, purpose, flags: flagsFor(whereOf(options)) }));
  if (row.state === "failed" || row.words !== null) process.exitCode = 1;
}

/** @param asked its host as it was given: the order's name may be a wildcard, which no command takes */
function sayOutcome(row: Json, asked: { host: string; purpose: "serve" | "test"; flags: string }): string {
  const { host, purpose, flags } = asked;
  if (row.state === "done") {
    if (purpose === "serve")
      return row.served
        ? `The new certificate of ${row.name} is served.`
        : `The new certificate of ${row.name} is there, but ${host} isn't served with it. To see why: candor host show ${host}${flags} and candor cert list${flags}`;
    return row.challenge === null
      ? `The test certificate of ${row.name} was issued by ${row.authority} and thrown away. The authority knew from before that the name is ours, and didn't look at this server.`
      : `It works: the test certificate of ${row.name} was issued by ${row.authority}, shown to be ours by ${row.challenge}, and thrown away.`;
  }
  if (row.words !== null)
    return [row.words, row.advice, row.next_at && `The next try is at ${time(row.next_at)}.`].filter(Boolean).join(" ");
  return purpose === "serve"
    ? `The certificate of ${row.name} is being ordered. See: candor host show ${host}${flags}`
    : `A certificate of ${row.name} is being ordered to see whether it can be. What comes of it: candor host test ${host}${flags}`;
}

async function add(name: string, options: Shared): Promise<void> {
  const { row, isServed } = await enterHouse(options, async (house) => ({
    row: await house.ask("POST", "/hosts", { host: { name } }),
    isServed: house.isServed,
  }));
  printAs(options, row, () => sayAdded(row));
  for (const sentence of row.obstacles ?? []) note(sentence);
  if (!isServed && isSecure(row))
    note(
      `No server runs here, so whether it leads here can't be tried. ${startIt(options)}, then: candor host show ${row.name}${flagsFor(whereOf(options))}`,
    );
  else if (isTroubled(row)) note(sayStanding(row));
}

function sayAdded({ origin, served, certificate }: Json): string {
  if (served) return `The page is served at ${origin} now.`;
  if (certificate?.state !== "none") return `${origin} is listed.`;
  return `${origin} is listed, and ${sayPlan(certificate)}.`;
}

/** A limit of the authority may hold back an order for days. */
function sayPlan({ ordered, next_at: nextAt }: Json): string {
  if (ordered) return "a certificate is ordered for it";
  if (nextAt === null) return "has no certificate";
  return `a certificate is ordered for it${Date.parse(nextAt) <= Date.now() ? "" : ` at ${time(nextAt)}`}`;
}

async function putFirst(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("PUT", "/hosts/first", { host: { name } }));
  printAs(options, row, () => `Links begin with ${row.origin} now.`);
}

async function remove(name: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("DELETE", `/hosts/${encodeURIComponent(name)}`));
  printAs(options, row, () => `The page isn't served at ${row.origin} any more.`);
}
