/** `candor member`: the people of the team, and their one-time sign-in links. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { note, print, printAs, table, time } from "./print.ts";

export function addMemberCommands(program: Command): void {
  const member = program
    .command("member")
    .description("list, add, change, suspend and restore members, make sign-in links")
    .addHelpText(
      "after",
      `
Roles: owner (everything), page_admin, page_config (branding, domains, components), team (members), publisher (incidents).

Examples:
  $ candor member add paul@example.com --role publisher
  $ candor member link paul@example.com
  $ candor member change paul@example.com --role publisher,page_config
  $ candor member suspend paul@example.com                     lock somebody out at once`,
    );
  member
    .command("list")
    .description("every member with their roles")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  member
    .command("add")
    .argument("<address>")
    .description("add a member; hand them a sign-in link afterwards")
    .option("--role <role>", "a role, or several with commas (required)", several)
    .action((address: string, _own, command: Command) => add(address, command.optsWithGlobals()));
  member
    .command("change")
    .argument("<address>")
    .description("give a member other roles in place of those they have; it holds at once")
    .option("--role <role>", "a role, or several with commas (required)", several)
    .action((address: string, _own, command: Command) => change(address, command.optsWithGlobals()));
  member
    .command("link")
    .argument("<address>")
    .description("print a link for one sign-in within 30 minutes")
    .action((address: string, _own, command: Command) => link(address, command.optsWithGlobals()));
  member
    .command("suspend")
    .argument("<address>")
    .description("lock a member out: sessions end at once, links and passwords open nothing; what they wrote stays")
    .action((address: string, _own, command: Command) => suspend(address, command.optsWithGlobals()));
  member
    .command("restore")
    .argument("<address>")
    .description("let a suspended member in again, with the roles and the password they had")
    .action((address: string, _own, command: Command) => restore(address, command.optsWithGlobals()));
}

function several(given: string, before: string[] = []): string[] {
  return [...before, ...given.split(",").map((one) => one.trim())];
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.call("GET", "/v1/members"));
  const roles = (row: Json) => row.roles.map((one: Json) => one.role).join(", ");
  printAs(options, rows, () =>
    table(
      ["id", "roles", "password", "suspended", "address"],
      rows.map((row) => [row.id, roles(row), row.has_password, row.suspended, row.email]),
      "There is no member yet. Run: candor init",
    ),
  );
}

async function add(address: string, options: Shared & { role?: string[] }): Promise<void> {
  if (!options.role) throw new UserError("invalid", "Say what the member may do: --role publisher");
  const fields = { email: address, roles: options.role };
  const row = await enterHouse(options, (house) => house.call("POST", "/v1/members", { member: fields }));
  printAs(options, row, () => `Added ${row.email}. Hand them a sign-in link: candor member link ${row.email}`);
}

async function change(address: string, options: Shared & { role?: string[] }): Promise<void> {
  if (!options.role) throw new UserError("invalid", "Say what the member may do: --role publisher");
  const path = `/v1/members/${encodeURIComponent(address)}/roles`;
  const row = await enterHouse(options, (house) => house.call("PUT", path, { member: { roles: options.role } }));
  printAs(options, row, () => `${row.email} is ${row.roles.map((one: Json) => one.role).join(", ")} now.`);
}

async function link(address: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) =>
    house.call("POST", `/v1/members/${encodeURIComponent(address)}/link`, {}),
  );
  if (options.json) return printAs(options, row, () => "");
  print(row.url);
  note(`For one sign-in, until ${time(row.expires_at)}.`);
}

async function suspend(address: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.call("PUT", suspensionOf(address), {}));
  printAs(options, row, () => `${row.email} is locked out; every session has ended.`);
  note("API tokens belong to nobody: revoke those that this member knows (candor token list).");
}

async function restore(address: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.call("DELETE", suspensionOf(address)));
  printAs(options, row, () => `${row.email} may sign in again.`);
}

function suspensionOf(address: string): string {
  return `/v1/members/${encodeURIComponent(address)}/suspension`;
}
