/** `candor group`: headings under which components stand together. */
import type { Command } from "commander";
import { requireSome } from "./ask.ts";
import { enterHouse, type Json, type Shared, type Visit } from "./house.ts";
import { listAll, listParts, pickGroup, pickStatuses } from "./pick.ts";
import { printAs, table } from "./print.ts";

type Fields = Shared & { name?: string; description?: string; component?: string[] };

export function addGroupCommands(program: Command): void {
  const group = program
    .command("group")
    .description("list, create and change groups of components")
    .addHelpText(
      "after",
      `
Examples:
  $ candor group create Platform --component "Public API" --component Webhooks
  $ candor group change Platform --name "Core platform"`,
    );
  const components = "a component of the group, by name or id; repeat it. Those named are exactly the group's";
  const several = (one: string, before: string[] = []) => [...before, one];

  group
    .command("list")
    .description("every group in the page's order")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  group
    .command("create")
    .argument("<name>")
    .description("add a group at the end of the page")
    .option("--description <text>", "one line that says what it is")
    .option("--component <component>", components, several)
    .action((name: string, _own, command: Command) => create(name, command.optsWithGlobals()));
  group
    .command("change")
    .argument("<group>", "its name or id")
    .description("change what is given and leave the rest")
    .option("--name <name>", "a new name")
    .option("--description <text>", "one line that says what it is; empty removes it")
    .option("--component <component>", components, several)
    .action((given: string, _own, command: Command) => change(given, command.optsWithGlobals()));
  group
    .command("archive")
    .argument("<group>", "its name or id")
    .description("remove the group; its components stay on the page")
    .action((given: string, _own, command: Command) => archive(given, command.optsWithGlobals()));
  group
    .command("move")
    .argument("<group>", "its name or id")
    .argument("<step>", "up or down")
    .description("move it one step up or down")
    .action((given: string, step: string, _own, command: Command) => move(given, step, command.optsWithGlobals()));
}

async function list(options: Shared): Promise<void> {
  const { rows, names } = await enterHouse(options, async (house) => ({
    rows: await listAll(house, "/component-groups", "per_page", 1),
    names: new Map((await listParts(house)).map((part) => [part.id, part.name])),
  }));
  printAs(options, rows, () =>
    table(
      ["id", "name", "components"],
      rows.map((row) => [row.id, row.name, row.components.map((id: string) => names.get(id)).join(", ")]),
      "There is no group. Components can stand without one.",
    ),
  );
}

async function create(name: string, options: Fields): Promise<void> {
  const row = await enterHouse(options, async (house) =>
    house.ask("POST", "/component-groups", await bodyOf(house, { ...options, name })),
  );
  printAs(options, row, () => `Created ${row.name} (${row.id}).`);
}

async function change(given: string, options: Fields): Promise<void> {
  const { name, description, component } = options;
  requireSome({ name, description, component }, "candor group change");
  const row = await enterHouse(options, async (house) => {
    const { id } = await pickGroup(house, given);
    return house.ask("PATCH", `/component-groups/${id}`, await bodyOf(house, options));
  });
  printAs(options, row, () => `Changed ${row.name} (${row.id}).`);
}

async function archive(given: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, async (house) => {
    const { id } = await pickGroup(house, given);
    return house.ask("DELETE", `/component-groups/${id}`);
  });
  printAs(options, row, () => `Removed the group ${row.name}. Its components stay on the page.`);
}

async function move(given: string, step: string, options: Shared): Promise<void> {
  const { row, order } = await enterHouse(options, async (house) => {
    const { id } = await pickGroup(house, given);
    const moved = await house.ask("POST", `/component-groups/${id}/move`, { step });
    return { row: moved, order: await listAll(house, "/component-groups", "per_page", 1) };
  });
  printAs(options, row, () => `The order is now: ${order.map((one) => one.name).join(", ")}.`);
}

async function bodyOf(house: Visit, options: Fields): Promise<Json> {
  const chosen = options.component && pickStatuses(await listParts(house), options.component).componentIds;
  return { description: options.description, component_group: { name: options.name, components: chosen } };
}
