/** `candor component`: the parts that visitors recognise. */
import type { Command } from "commander";
import { requireSome } from "./ask.ts";
import { enterHouse, type Json, type Shared, type Visit } from "./house.ts";
import { listAll, listParts, pickGroup, pickPart } from "./pick.ts";
import { printAs, table } from "./print.ts";

type Fields = Shared & {
  name?: string;
  description?: string;
  group?: string | false;
  status?: string;
  days?: boolean;
  onlyIfDegraded?: boolean;
};

export function addComponentCommands(program: Command): void {
  const component = program
    .command("component")
    .description("list, create and change the parts of your service")
    .addHelpText(
      "after",
      `
A component is named by its name, in any letter case, or by its id. Where a name stands twice: "Group - Name".
Statuses: operational, degraded_performance, partial_outage, major_outage, under_maintenance. Setting a status here
shows it on the page and tells nobody; to tell people, open an incident.

Examples:
  $ candor component create "Public API" --group Platform --description "REST and webhooks"
  $ candor component change "Public API" --status degraded_performance
  $ candor component move "Public API" up`,
    );

  component
    .command("list")
    .description("every component in the page's order")
    .option("--archived", "the archived ones instead")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  fieldOptions(
    component.command("create").argument("<name>").description("add a component at the end of the page"),
  ).action((name: string, _own, command: Command) => create(name, command.optsWithGlobals()));
  fieldOptions(
    component
      .command("change")
      .argument("<component>", "its name or id")
      .description("change what is given and leave the rest")
      .option("--name <name>", "a new name"),
  ).action((given: string, _own, command: Command) => change(given, command.optsWithGlobals()));
  component
    .command("archive")
    .argument("<component>", "its name or id")
    .description("take it off the page; its past is kept, and it can be restored")
    .action((given: string, _own, command: Command) => setArchived(given, true, command.optsWithGlobals()));
  component
    .command("restore")
    .argument("<component>", "its name or id")
    .description("put an archived component back on the page")
    .action((given: string, _own, command: Command) => setArchived(given, false, command.optsWithGlobals()));
  component
    .command("move")
    .argument("<component>", "its name or id")
    .argument("<step>", "up or down, among its neighbours in the same group")
    .description("move it one step up or down")
    .action((given: string, step: string, _own, command: Command) => move(given, step, command.optsWithGlobals()));
}

function fieldOptions(command: Command): Command {
  return command
    .option("--description <text>", "one line that says what it is; empty removes it")
    .option("--group <group>", "the group that it stands in, by name or id")
    .option("--no-group", "outside any group")
    .option("--status <status>", "sets its status and tells nobody")
    .option("--days", "show its last 90 days on the page (as new ones do)")
    .option("--no-days", "leave its last 90 days off the page")
    .option("--only-if-degraded", "show it only while something is wrong with it")
    .option("--no-only-if-degraded", "show it always (as new ones are)");
}

async function list(options: Shared & { archived?: boolean }): Promise<void> {
  const path = options.archived ? "/components?archived=true" : "/components";
  const rows = await enterHouse(options, (house) => listAll(house, path, "per_page", 1));
  printAs(options, rows, () => {
    const groups = new Map<string, string>(rows.filter((row) => row.group).map((row) => [row.id, row.name]));
    const parts = rows.filter((row) => !row.group);
    const empty = options.archived
      ? "No component is archived."
      : 'There is no component yet. Make one with: candor component create "Website"';
    return table(
      ["id", "status", "group", "name"],
      parts.map((row) => [row.id, row.status, groups.get(row.group_id), row.name]),
      empty,
    );
  });
}

async function create(name: string, options: Fields): Promise<void> {
  const row = await enterHouse(options, async (house) => {
    return house.ask("POST", "/components", { component: { ...(await fieldsOf(house, options)), name } });
  });
  printAs(options, row, () => `Created ${row.name} (${row.id}).`);
}

async function change(given: string, options: Fields): Promise<void> {
  const { name, description, group, status, days, onlyIfDegraded } = options;
  requireSome({ name, description, group, status, days, onlyIfDegraded }, "candor component change");
  const row = await enterHouse(options, async (house) => {
    const { id } = await pickPart(house, given);
    return house.ask("PATCH", `/components/${id}`, { component: await fieldsOf(house, options) });
  });
  printAs(options, row, () => `Changed ${row.name} (${row.id}): ${row.status}.`);
}

async function setArchived(given: string, archived: boolean, options: Shared): Promise<void> {
  const row = await enterHouse(options, async (house) => {
    const { id } = await pickPart(house, given, archived ? "living" : "archived");
    return house.ask("POST", `/components/${id}/${archived ? "archive" : "restore"}`, {});
  });
  printAs(options, row, () => `${archived ? "Archived" : "Restored"} ${row.name} (${row.id}).`);
}

async function move(given: string, step: string, options: Shared): Promise<void> {
  const { row, order } = await enterHouse(options, async (house) => {
    const { id, groupId } = await pickPart(house, given);
    const moved = await house.ask("POST", `/components/${id}/move`, { step });
    const neighbours = (await listParts(house)).filter((part) => part.groupId === groupId);
    return { row: moved, order: neighbours.map((part) => part.name) };
  });
  printAs(options, row, () => `The order is now: ${order.join(", ")}.`);
}

async function fieldsOf(house: Visit, options: Fields): Promise<Json> {
  return {
    name: options.name,
    description: options.description,
    group_id: options.group === false ? "" : options.group && (await pickGroup(house, options.group)).id,
    status: options.status,
    showcase: options.days,
    only_show_if_degraded: options.onlyIfDegraded,
  };
}
