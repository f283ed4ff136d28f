/**
 * Fills an empty house with the living example, by the same rules that members use, with times in the past. Nothing is
 * left to chance: two examples differ in their ids and in the hour that they count back from.
 */
import { createComponent, createGroup } from "../src/components/components.ts";
import type { Db } from "../src/db.ts";
import type { Deps } from "../src/deps.ts";
import { foundHouse } from "../src/founding.ts";
import { openIncident, postUpdate } from "../src/incidents/incidents.ts";
import { addHost, changePage } from "../src/pages/pages.ts";
import type { ComponentStatus } from "../src/schema.ts";
import { dateOf, startOfDay } from "../src/statuspage/days.ts";
import { formatTime } from "../src/statuspage/words.ts";
import {
  addSubscriber,
  findByAddress,
  quarantineSubscriber,
  type Subscriber,
  unsubscribe,
} from "../src/subscribers/subscribers.ts";
import { createMember } from "../src/team/members.ts";
import { bounced, company, gone, groups, readers } from "./example-company.ts";
import { openTales, pastTales, type Tale, upcomingTale } from "./example-stories.ts";

const minute = 60_000;
const day = 1440 * minute;
const by = { kind: "system" } as const;

/** `tell`: the updates of what is open are announced to the example's readers. */
export function fillExample(deps: Deps, input: { hosts: string[]; now: number; tell: boolean }): void {
  const { keys } = deps;
  const now = Math.floor(input.now / minute) * minute;
  const began = now - 130 * day;
  const [firstHost = "", ...otherHosts] = input.hosts;
  deps.db.transaction(
    (tx) => {
      // The rules' own transactions are savepoints inside this one: the whole example, or none of it.
      const stage = tx as unknown as Db;
      const staged = { ...deps, db: stage };
      const founding = {
        pageName: company.name,
        host: firstHost,
        owner: company.owner,
        smtpUrl: "",
        acmeContact: "",
        timeZone: company.timeZone,
      };
      const { page } = foundHouse(staged, { ...founding, now: began, by });
      const pageId = page.id;
      otherHosts.forEach((host, index) => void addHost(stage, { pageId, host, now: began + 1 + index, by }));
      changePage(stage, {
        pageId,
        description: company.description,
        supportUrl: "mailto:help@example.com",
        now: began,
        by,
      });
      createMember(stage, { address: company.publisher, roles: ["publisher"], keys, now: began, by });
      const parts = makeParts(stage, pageId, began);
      subscribeReaders(staged, { pageId, parts, now: began });
      for (const event of happenings({ now, timeZone: page.timeZone }).toSorted((a, b) => a.at - b.at)) {
        event.happen(stage, { pageId, parts, tell: input.tell });
      }
    },
    { behavior: "immediate" },
  );
}

type Parts = Map<string, string>;

function makeParts(stage: Db, pageId: string, now: number): Parts {
  const parts: Parts = new Map();
  for (const group of groups) {
    const { id: groupId } = createGroup(stage, { pageId, name: group.name, description: group.description, now, by });
    for (const part of group.parts)
      parts.set(part.name, createComponent(stage, { pageId, groupId, ...part, now, by }).id);
  }
  return parts;
}

function subscribeReaders(staged: Deps, input: { pageId: string; parts: Parts; now: number }): void {
  const { db: stage, keys } = staged;
  const { pageId, parts } = input;
  readers.forEach((reader, index) => {
    const componentIds = reader.parts.map((name) => idOf(parts, name));
    const wish = { wholePage: componentIds.length === 0, componentIds };
    const now = input.now + index * 3 * day;
    addSubscriber(stage, {
      pageId,
      address: reader.address,
      wish,
      confirm: "vouched",
      source: "example",
      keys,
      now,
      by,
    });
  });
  const known = (address: string) => findByAddress(stage, { pageId, address, keys }) as Subscriber;
  const later = input.now + 125 * day;
  for (const address of gone) unsubscribe(stage, { subscriber: known(address), now: later, by });
  quarantineSubscriber(stage, { seq: known(bounced).seq, now: later });
}

type Scene = { pageId: string; parts: Parts; tell: boolean };
type Happening = { at: number; happen: (stage: Db, scene: Scene) => void };

function happenings({ now, timeZone }: { now: number; timeZone: string }): Happening[] {
  const today = Temporal.PlainDate.from(dateOf(now, timeZone));
  const moment = (days: number, time: string) => {
    const [hours = 0, minutes = 0] = time.split(":").map(Number);
    return startOfDay(today.add({ days }).toString(), timeZone) + (hours * 60 + minutes) * minute;
  };
  return [
    ...pastTales.flatMap((tale) => tell(tale, { start: moment(-tale.daysAgo, tale.at), timeZone, over: true })),
    ...openTales.flatMap((tale) => tell(tale, { start: now - tale.begun * minute, timeZone, over: false })),
    ...tell(upcomingTale, {
      start: moment(upcomingTale.daysAhead, upcomingTale.at),
      announcedAt: now - 2 * day,
      timeZone,
      over: false,
    }),
  ];
}

/** One happening an update. The first opens the incident; the last of a tale that is over sets its parts right again. */
function tell(tale: Tale, when: { start: number; announcedAt?: number; timeZone: string; over: boolean }): Happening[] {
  let incidentId = "";
  return tale.updates.map((update, index) => {
    const at = when.announcedAt ?? when.start + update.after * minute;
    const isLast = index === tale.updates.length - 1;
    const happen: Happening["happen"] = (stage, { pageId, parts, tell }) => {
      const chosen = { ...(when.over && isLast ? allWell(tale) : {}), ...update.parts };
      const components = Object.fromEntries(
        Object.entries(chosen).map(([name, status]) => [idOf(parts, name), status]),
      );
      const body = withTimes(update.body, at, when.timeZone);
      const told = {
        pageId,
        now: at,
        by,
        notify: tell && !when.over && when.announcedAt === undefined,
        burstFactor: 1_000,
      };
      const common = { ...told, status: update.status, body, components };
      if (incidentId !== "") {
        postUpdate(stage, { ...common, incidentId });
        return;
      }
      const schedule = tale.planned && {
        kind: "maintenance" as const,
        scheduledFor: when.start + tale.planned.from * minute,
        scheduledUntil: when.start + tale.planned.until * minute,
        // What has begun stands on the day that it began, not on the day that it was announced.
        ...(when.announcedAt === undefined ? { startedAt: when.start } : {}),
      };
      const componentIds = (tale.concerns ?? []).map((name) => idOf(parts, name));
      const own = { name: tale.title, componentIds, impactOverride: tale.impact ?? null };
      incidentId = openIncident(stage, { ...common, ...own, ...schedule }).incident.id;
    };
    return { at, happen };
  });
}

function allWell(tale: Tale): Record<string, ComponentStatus> {
  const touched = tale.updates.flatMap((update) => Object.keys(update.parts ?? {}));
  return Object.fromEntries(touched.map((name) => [name, "operational"]));
}

/** `{+30}` is the time of day half an hour later, on a round five minutes. */
function withTimes(body: string, at: number, timeZone: string): string {
  return body.replaceAll(/\{([+-]\d+)\}/g, (_, minutes: string) => {
    const then = Math.ceil((at + Number(minutes) * minute) / (5 * minute)) * 5 * minute;
    return formatTime(then, timeZone, "clock");
  });
}

function idOf(parts: Parts, name: string): string {
  const id = parts.get(name);
  if (!id) throw new Error(`The example has no part ${name}.`);
  return id;
}
