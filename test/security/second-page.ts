/** A second page in the same house, with its own host, furnished; whoever may only the one must not reach the other. */
import { queueTestLetter } from "../../src/announcements/letters.ts";
import { createComponent, createGroup } from "../../src/components/components.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { addHost, createPage, type Page } from "../../src/pages/pages.ts";
import { memberRoles, type Role } from "../../src/schema.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { createMember, type Member } from "../../src/team/members.ts";
import { createToken } from "../../src/team/tokens.ts";
import type { House } from "../support/house.ts";

export const otherHost = "status.other.example";

/** Ids by the word in the path that they stand behind. */
export type Ids = Record<string, string>;

export function furnish(house: House, page: Page, address: string): Ids {
  const { db, keys, clock } = house.deps;
  const doing = { pageId: page.id, now: clock.now(), by: { kind: "system" } as const };
  const group = createGroup(db, { ...doing, name: "A group" });
  const component = createComponent(db, { ...doing, name: "A part" });
  const wish = { wholePage: true, componentIds: [] };
  const reader = addSubscriber(db, { ...doing, address, wish, confirm: "vouched", source: "api", keys });
  const { incident, update } = openIncident(db, {
    ...doing,
    name: "Something fails",
    body: "We look into it.",
    components: { [component.id]: "major_outage" },
    notify: true,
    burstFactor: 5,
  });
  const letter = queueTestLetter(db, { pageId: page.id, address, keys, now: clock.now() });
  const announcement = db.$client.prepare("SELECT max(id) FROM announcements").pluck().get();
  return {
    incidents: incident.id,
    incident_updates: update.id,
    updates: update.id,
    components: component.id,
    "component-groups": group.id,
    subscribers: reader.id,
    mail: String(letter),
    announcements: String(announcement),
  };
}

export function secondPage(house: House): Page {
  const { db, clock } = house.deps;
  const doing = { now: clock.now(), by: { kind: "system" } as const };
  const page = createPage(db, { name: "Other", timeZone: "Etc/UTC", ...doing });
  addHost(db, { pageId: page.id, host: otherHost, ...doing });
  house.deps.press.pressAll();
  return page;
}

/** A member with one role, on one page or on all. */
export function memberWith(house: House, role: Role, pageId: string | null): Member {
  const { db, keys, clock } = house.deps;
  const address = `${role}-${pageId ?? "all"}@example.com`;
  const member = createMember(db, { address, roles: [], keys, now: clock.now(), by: { kind: "system" } });
  db.insert(memberRoles).values({ memberId: member.id, role, pageId }).run();
  return member;
}

export function tokenFor(house: House, role: Role, pageId?: string): string {
  const { db, clock } = house.deps;
  return createToken(db, { name: role, role, pageId, now: clock.now(), by: { kind: "system" } }).secret;
}

/** Every row of every table, those left out that a sign-in writes. */
export function everything(house: House): string {
  const { $client } = house.deps.db;
  const tables = $client.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all() as string[];
  return JSON.stringify(
    tables
      .filter((name) => name !== "sessions")
      .map((name) => [name, $client.prepare(`SELECT * FROM "${name}"`).all()]),
  );
}
