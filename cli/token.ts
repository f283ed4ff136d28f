/** `candor token`: keys for programs that use the API. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared } from "./house.ts";
import { note, print, printAs, table, time } from "./print.ts";

export function addTokenCommands(program: Command): void {
  const token = program
    .command("token")
    .description("create, list and revoke API tokens")
    .addHelpText(
      "after",
      `
Programs send it as "Authorization: OAuth TOKEN" (or Bearer). With --page it is good for that page alone.

A token has one role. With any it reads the page, its components and incidents. It writes with publisher (incidents,
subscribers, how components are), page_config (the page, components, groups) or owner (all of that), not with the others.

Examples:
  $ TOKEN=$(candor token create --name ci --role publisher)
  $ curl -H "Authorization: OAuth $TOKEN" https://status.example.com/v1/pages`,
    );
  token
    .command("create")
    .description("make a token; stdout is the token and nothing else, and it is shown this once")
    .option("--name <name>", "who uses it, for the list (required)")
    .option(
      "--role <role>",
      "publisher for incidents and subscribers, page_config for the page and its components, owner for all (required)",
      (one: string, before: string[] = []) => [...before, one],
    )
    .action((_own, command: Command) => create(command.optsWithGlobals()));
  token
    .command("list")
    .description("every token, revoked ones included")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  token
    .command("revoke")
    .argument("<id>", "the token's id, from the list")
    .description("end a token at once")
    .action((id: string, _own, command: Command) => revoke(id, command.optsWithGlobals()));
}

async function create(options: Shared & { name?: string; role?: string[] }): Promise<void> {
  if (!options.name) throw new UserError("invalid", "Give the token a name that says who uses it: --name ci");
  const [role, another] = options.role ?? [];
  if (!role) throw new UserError("invalid", "Say what the token may do: --role publisher");
  if (another) throw new UserError("invalid", "A token has one role. Make one for each, or one with --role owner.");
  const fields = { name: options.name, role, page_id: options.page };
  const row = await enterHouse(options, (house) => house.call("POST", "/v1/tokens", { token: fields }));
  if (options.json) return printAs(options, row, () => "");
  print(row.secret);
  if (process.stdout.isTTY) note(`It is shown this once. End it with: candor token revoke ${row.id}`);
}

async function list(options: Shared): Promise<void> {
  const rows: Json[] = await enterHouse(options, (house) => house.call("GET", "/v1/tokens"));
  printAs(options, rows, () =>
    table(
      ["id", "role", "page", "created", "last used", "revoked", "name"],
      rows.map((row) => [
        row.id,
        row.role,
        row.page_id ?? "all",
        time(row.created_at),
        time(row.last_used_at),
        time(row.revoked_at),
        row.name,
      ]),
      "There is no token. Make one with: candor token create --name NAME --role publisher",
    ),
  );
}

async function revoke(id: string, options: Shared): Promise<void> {
  await enterHouse(options, (house) => house.call("DELETE", `/v1/tokens/${encodeURIComponent(id)}`));
  printAs(options, { id, revoked: true }, () => `Revoked ${id}. It opens nothing any more.`);
}
