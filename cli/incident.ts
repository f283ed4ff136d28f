/** `candor incident`: tell visitors and subscribers what is broken, what is done about it, and that it is over. */
import type { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { requireBody } from "../src/incidents/incidents.ts";
import { confirm, isTerminal, valueOrStdin } from "./ask.ts";
import { enterHouse, type Json, type Shared, type Visit } from "./house.ts";
import { listParts, pickStatuses } from "./pick.ts";
import { count, facts, note, print, printAs, table, time } from "./print.ts";

type Telling = Shared & { body?: string; component?: string[]; notify: boolean; dryRun?: boolean; yes?: boolean };
type Opening = Telling & {
  title?: string;
  status?: string;
  impact?: string;
  from?: string;
  until?: string;
  auto?: boolean;
};

export function addIncidentCommands(program: Command): void {
  const incident = program
    .command("incident")
    .description("open, update and resolve incidents and maintenance")
    .addHelpText(
      "after",
      `
On a terminal you are asked before anybody is told; --yes answers beforehand, and without a terminal nothing is asked.
--dry-run prints the very letter and how many would be told, and changes nothing.

Examples:
  $ candor incident open --title "Sign-in fails" --component Login=major_outage \\
      --body "Nobody can sign in since 13:05. We look into it. Next word by 14:00."
  $ candor incident update 8gyn7z2pbq3l --status identified --body - < words.txt
  $ candor incident resolve 8gyn7z2pbq3l --body "Sign-in works again since 14:32."
  $ candor incident open --title "Database upgrade" --component Database \\
      --from 2026-12-01T02:00Z --until 2026-12-01T04:00Z --auto --body "Writes pause for up to ten minutes."`,
    );

  telling(
    incident
      .command("open")
      .description("open an incident, or announce a maintenance with --from and --until")
      .option("--title <title>", "what is broken, for whom, in a few words (required)")
      .option(
        "--status <status>",
        "investigating (unless said), identified, monitoring; of a maintenance scheduled, in_progress",
      )
      .option("--impact <impact>", "none, minor, major, critical; left out: the worst that its components go through")
      .option("--from <time>", "when the maintenance begins, like 2026-12-01T02:00Z")
      .option("--until <time>", "when it ends")
      .option("--auto", "it begins and ends by the clock, its components with it, and subscribers are told each time"),
  ).action((_own, command: Command) => open(command.optsWithGlobals()));
  telling(
    incident
      .command("update")
      .argument("<id>", "the incident's id, as in its address")
      .description("say what is new")
      .option(
        "--status <status>",
        "investigating, identified, monitoring, resolved; of a maintenance in_progress, verifying, completed; left out: as it was",
      ),
  ).action((id: string, _own, command: Command) => update(id, command.optsWithGlobals()));
  telling(
    incident
      .command("resolve")
      .argument("<id>", "the incident's id, as in its address")
      .description("say that it is over; its components are operational again, or as another open incident last said")
      .option("--keep-components", "leave the components' statuses as they are"),
  ).action((id: string, _own, command: Command) => resolve(id, command.optsWithGlobals()));
  incident
    .command("list")
    .description("incidents, newest first")
    .option("--open", "only those that aren't over")
    .option("--limit <number>", "how many at most", "20")
    .action((_own, command: Command) => list(command.optsWithGlobals()));
  incident
    .command("show")
    .argument("<id>", "the incident's id, as in its address")
    .description("an incident with all its updates")
    .action((id: string, _own, command: Command) => show(id, command.optsWithGlobals()));
}

function telling(command: Command): Command {
  return command
    .option("--body <text>", "what happens, for whom, and when you say more (required); - reads it from standard input")
    .option(
      "--component <name=status>",
      "a component, by name or id, and its status from now on; without =STATUS it is only concerned (of a maintenance to come: always); repeat it",
      (one: string, before: string[] = []) => [...before, one],
    )
    .option("--no-notify", "put it on the page and tell nobody by mail")
    .option("--dry-run", "show what would happen and change nothing")
    .option("--yes", "don't ask before people are told");
}

async function open(options: Opening): Promise<void> {
  if (!options.title) throw new UserError("invalid", 'Give the incident a title: --title "Sign-in fails"');
  for (const name of ["from", "until"] as const) requireMoment(`--${name}`, options[name]);
  if (options.auto && !(options.from && options.until)) {
    throw new UserError("invalid", "Only a maintenance goes by the clock: say when with --from and --until.");
  }
  if (Boolean(options.from) !== Boolean(options.until)) {
    throw new UserError("invalid", "Say when the maintenance begins and when it ends, with --from and --until.");
  }
  const body = await bodyOf(options);
  await publish(options, "Opened", async (house) => {
    const { components, componentIds } = pickStatuses(await listParts(house), options.component ?? []);
    requireLaterStatuses(options, components);
    const own = { name: options.title, status: options.status, impact_override: options.impact };
    const schedule = { scheduled_for: options.from, scheduled_until: options.until };
    const clock = options.auto
      ? {
          scheduled_auto_transition: true,
          auto_transition_to_maintenance_state: true,
          auto_transition_to_operational_state: true,
          auto_transition_deliver_notifications_at_start: options.notify,
          auto_transition_deliver_notifications_at_end: options.notify,
        }
      : {};
    const fields = {
      ...own,
      ...schedule,
      ...clock,
      body,
      components,
      component_ids: componentIds,
      deliver_notifications: options.notify,
    };
    return { method: "POST", path: "/incidents", fields };
  });
}

async function update(id: string, options: Telling & { status?: string }): Promise<void> {
  const body = await bodyOf(options);
  await publish(options, "Updated", async (house) => {
    const { components } = requireStatuses(pickStatuses(await listParts(house), options.component ?? []));
    const fields = { status: options.status, body, components, deliver_notifications: options.notify };
    return { method: "PATCH", path: pathOf(id), fields };
  });
}

async function resolve(id: string, options: Telling & { keepComponents?: boolean }): Promise<void> {
  const body = await bodyOf(options);
  await publish(options, "Resolved", async (house) => {
    const before = await house.ask("GET", pathOf(id));
    if (["resolved", "completed"].includes(before.status)) {
      const advice = `To add a word: candor incident update ${id} --body TEXT`;
      throw new UserError("conflict", `This is ${before.status} since ${time(before.resolved_at)}. ${advice}`);
    }
    const { components } = requireStatuses(pickStatuses(await listParts(house), options.component ?? []));
    const recovered = options.keepComponents ? {} : await house.ask("GET", `${pathOf(id)}/recovery`);
    const status = before.scheduled_for === null ? "resolved" : "completed";
    const fields = { status, body, components: { ...recovered, ...components }, deliver_notifications: options.notify };
    return { method: "PATCH", path: pathOf(id), fields };
  });
}

type Plan = { method: string; path: string; fields: Json };

/** Looks first, asks on a terminal, then does it. The house isn't held while a person thinks. */
async function publish(options: Telling, done: string, plan: (house: Visit) => Promise<Plan>): Promise<void> {
  const { planned, seen } = await enterHouse(options, async (house) => {
    const made = await plan(house);
    return {
      planned: made,
      seen: await house.ask(made.method, `${made.path}?dry_run=true`, { incident: made.fields }),
    };
  });
  if (options.dryRun) return printAs(options, seen, () => rehearsal(seen));
  if (isTerminal() && !options.yes && seen.audience > 0) {
    const people = count(seen.audience, "person", "people");
    if (!(await confirm(`Tell ${people}?`))) {
      note("Nothing was changed. To publish without telling anybody: --no-notify");
      return;
    }
  }
  const { incident, announcement } = await enterHouse(options, async (house) => {
    const written = await house.ask(planned.method, planned.path, { incident: planned.fields });
    const newest = written.incident_updates[0]?.id;
    const announced: Json[] = options.notify ? await house.ask("GET", "/announcements?limit=20") : [];
    const own = announced.find((one) => one.incident_update_id === newest) ?? null;
    if (!house.isServed && own?.audience > 0) note("No server runs: the letters wait until one does.");
    return { incident: written, announcement: own };
  });
  printAs(options, { ...incident, announcement }, () => `${done}: ${incident.shortlink}\n${toldWords(announcement)}`);
}

function toldWords(announcement: Json): string {
  if (!announcement) return "Nobody is told by mail.";
  if (announcement.audience === 0) return "Nobody has subscribed to this, so nobody is told by mail.";
  if (announcement.state !== "held") return `${count(announcement.audience, "person is", "people are")} told by mail.`;
  return `It is on the page; its letters are held. ${announcement.reason} Send them with: candor announcement send ${announcement.id}`;
}

function rehearsal(seen: Json): string {
  const lines = [`${count(seen.audience, "person", "people")} would be told.`, `The page would say: ${seen.headline}`];
  if (seen.held) lines.push(`The letters would be held: ${seen.held}`);
  if (seen.letter) lines.push("", `Subject: ${seen.letter.subject}`, "", seen.letter.text.trimEnd());
  return lines.join("\n");
}

async function list(options: Shared & { open?: boolean; limit: string }): Promise<void> {
  const rows: Json[] = await enterHouse(options, async (house) => {
    if (!options.open) return house.ask("GET", `/incidents?limit=${encodeURIComponent(options.limit)}`);
    return [
      ...(await house.ask("GET", "/incidents/unresolved")),
      ...(await house.ask("GET", "/incidents/active_maintenance")),
    ];
  });
  printAs(options, rows, () =>
    table(
      ["id", "begins", "status", "impact", "title"],
      rows.map((row) => [row.id, time(row.scheduled_for ?? row.created_at), row.status, row.impact, row.name]),
      options.open ? "Nothing is open." : "There was no incident yet.",
    ),
  );
}

async function show(id: string, options: Shared): Promise<void> {
  const row = await enterHouse(options, (house) => house.ask("GET", pathOf(id)));
  if (options.json) return printAs(options, row, () => "");
  const schedule = row.scheduled_for && `${time(row.scheduled_for)} to ${time(row.scheduled_until)}`;
  const parts = row.components.map((part: Json) => part.name).join(", ");
  print(`${row.name}\n`);
  print(
    facts([
      ["Status", row.status],
      ["Impact", row.impact],
      ["Components", parts],
      ["Planned", schedule],
      ["Address", row.shortlink],
    ]),
  );
  for (const one of row.incident_updates) print(`\n${time(one.display_at)}  ${one.status}\n${one.body}`);
}

/** The API would name its own field, which nobody here has typed. */
function requireMoment(option: string, given: string | undefined): void {
  if (given === undefined || /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/.test(given)) return;
  throw new UserError(
    "invalid",
    `Give ${option} as a time with its offset, like 2026-12-01T02:00Z or 2026-12-01T03:00+01:00.`,
  );
}

/** Whoever plans for Sunday and says a status means Sunday's, but it would stand on the page from now on. */
function requireLaterStatuses(options: Opening, components: Record<string, string>): void {
  const isToCome = options.from !== undefined && Date.parse(options.from) > Date.now();
  if (!isToCome || !["scheduled", undefined].includes(options.status) || Object.keys(components).length === 0) return;
  const advice = options.auto
    ? "With --auto it is under maintenance from the beginning to the end."
    : "Set it when you say that the maintenance is in progress, or let --auto do it.";
  throw new UserError(
    "invalid",
    `The status would hold from now on, but the maintenance is yet to begin. Give --component NAME alone. ${advice}`,
  );
}

async function bodyOf(options: Telling): Promise<string> {
  if (options.body === undefined) {
    throw new UserError(
      "invalid",
      "Write what is happening, for whom, and when you will say more: --body TEXT (or --body - to read it from standard input).",
    );
  }
  return requireBody(await valueOrStdin(options.body, "the text"));
}

function pathOf(id: string): string {
  return `/incidents/${encodeURIComponent(id)}`;
}

/** The API has no way yet to join a component to an open incident without a status. */
function requireStatuses(chosen: ReturnType<typeof pickStatuses>): ReturnType<typeof pickStatuses> {
  if (chosen.componentIds.every((id) => Object.hasOwn(chosen.components, id))) return chosen;
  throw new UserError("invalid", "Give each component its status, like --component API=operational.");
}
