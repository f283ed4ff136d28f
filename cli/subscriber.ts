/** `candor subscriber`: people who asked to be told. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { enterHouse, type Json, type Shared, type Visit } from "./house.ts";
import { listAll, listParts, pickStatuses } from "./pick.ts";
import { facts, printAs, table, time } from "./print.ts";

const states = ["active", "unconfirmed", "quarantined", "paused", "unsubscribed"];

export function addSubscriberCommands(program: Command): void {
  const subscriber = program
    .command("subscriber")
    .description("list, add and remove subscribers")
    .addHelpText(
      "after",
      `
States: active, unconfirmed (hasn't clicked the link yet), quarantined (mail bounced), paused, unsubscribed (the address is erased).

Examples:
  $ candor subscriber add ada@example.com                      sends her a confirmation letter
  $ candor subscriber add ada@example.com --confirmed --component API
  $ candor subscriber list --state quarantined --json
  $ candor subscriber remove ada@example.com`,
    );
  subscriber
    .command("list")
    .description("subscribers in the order they came")
    .option("--state <state>", `only those: ${states.join(", ")}; left out: all but the unsubscribed`)
    .option("--limit <number>", "how many at most of each state", "1000")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  subscriber
    .command("show")
    .argument("<subscriber>", "the whole address, or the id")
    .description("one subscriber and what they are told about")
    .action((given: string, _own, command: Command) => show(given, command.optsWithGlobals()));
  subscriber
    .command("add")
    .argument("<address>")
    .description("add somebody; a letter asks them to confirm")
    .option("--confirmed", "they agreed elsewhere: active at once, no letter")
    .option(
      "--component <component>",
      "only this component, by name or id; repeat it; left out: the whole page",
      (one: string, before: string[] = []) => [...before, one],
    )
    .action((address: string, _own, command: Command) => add(address, command.optsWithGlobals()));
  subscriber
    .command("remove")
    .argument("<subscriber>", "the whole address, or the id")
    .description("unsubscribe somebody; the address is erased, letters that wait aren't sent")
    .action((given: string, _own, command: Command) => remove(given, command.optsWithGlobals()));
}

async function list(options: Shared & { state?: string; limit: string }): Promise<void> {
  const wanted = options.state ? [options.state] : states.filter((state) => state !== "unsubscribed");
  const most = Number(options.limit);
  if (!Number.isInteger(most) || most < 1) throw new UserError("invalid", "Give --limit as a whole number from 1.");
  const rows = await enterHouse(options, async (house) => {
    const found: Json[] = [];
    for (const state of wanted) {
      const slice = await listAll(house, `/subscribers?state=${encodeURIComponent(state)}`, "limit", 0, most);
      found.push(...slice.map((row) => ({ ...row, state })));
    }
    return found.toSorted((a, b) => a.created_at.localeCompare(b.created_at));
  });
  printAs(options, rows, () =>
    table(
      ["id", "since", "state", "told about", "address"],
      rows.map((row) => [row.id, time(row.created_at), row.state, wish(row), row.email]),
      options.state ? `No subscriber is ${options.state}.` : "Nobody has subscribed yet.",
    ),
  );
}

async function show(given: string, options: Shared): Promise<void> {
  const { row, names } = await enterHouse(options, async (house) => ({
    row: await find(house, given),
    names: new Map((await listParts(house, "both")).map((part) => [part.id, part.full])),
  }));
  const parts = row.components.map((id: string) => names.get(id)).join(", ");
  printAs(options, row, () =>
    facts([
      ["Id", row.id],
      ["Address", row.email],
      ["State", row.state],
      ["Told about", parts || wish(row)],
      ["Since", time(row.created_at)],
      ["Quarantined", time(row.quarantined_at)],
    ]),
  );
}

async function add(address: string, options: Shared & { confirmed?: boolean; component?: string[] }): Promise<void> {
  const row = await enterHouse(options, async (house) => {
    const { componentIds } = pickStatuses(await listParts(house), options.component ?? []);
    const fields = {
      email: address,
      component_ids: componentIds,
      skip_confirmation_notification: options.confirmed === true,
    };
    return house.ask("POST", "/subscribers", { subscriber: fields });
  });
  const next = options.confirmed
    ? "They are told from the next update on."
    : "They are told once they clicked the link in their confirmation letter.";
  printAs(options, row, () => `Added ${row.email} (${row.id}). ${next}`);
}

async function remove(given: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, async (house) => {
    const { id } = await find(house, given);
    return house.ask("DELETE", `/subscribers/${id}`);
  });
  printAs(options, row, () => `Unsubscribed ${row.email ?? row.id}. The address is erased.`);
}

/** The API tells no state of a single subscriber, but finds one within a state. */
async function find(house: Visit, given: string): Promise<Json> {
  if (!given.includes("@")) {
    const row = await house.ask("GET", `/subscribers/${encodeURIComponent(given)}`);
    return row.email ? find(house, row.email) : { ...row, state: "unsubscribed" };
  }
  for (const state of states) {
    const [row] = await house.ask("GET", `/subscribers?state=${state}&q=${encodeURIComponent(given)}`);
    if (row) return { ...row, state };
  }
  throw new UserError("not_found", `Nobody subscribed with the address ${JSON.stringify(given)}.`);
}

function wish(row: Json): string {
  if (row.state === "unsubscribed") return "";
  if (row.components.length === 0) return "the whole page";
  return row.components.length === 1 ? "1 component" : `${row.components.length} components`;
}
