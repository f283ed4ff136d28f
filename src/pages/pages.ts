/**
 * Pages and the hosts that lead to them. Every request resolves its Host here, and every absolute URL begins with an
 * origin from here, never with what a request claims.
 */
import { and, asc, eq } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { isAddress, isDnsName, isWildcard } from "../host-names.ts";
import { newId } from "../ids.ts";
import { hosts, pages } from "../schema.ts";
import { requireText } from "../text.ts";

export type Page = typeof pages.$inferSelect;
export type Host = typeof hosts.$inferSelect;

export function createPage(tx: Db | Tx, input: { name: string; timeZone: string; now: number; by: Actor }): Page {
  const row = {
    id: newId(),
    name: requireText(input.name, { field: "page_name", what: "a name for the page", most: 100 }),
    timeZone: requireTimeZone(input.timeZone),
    createdAt: input.now,
    updatedAt: input.now,
  };
  const page = tx.insert(pages).values(row).returning().get();
  recordDeed(tx, input.by, input.now, { pageId: page.id, action: "page.create" });
  return page;
}

export function changePage(
  db: Db,
  input: {
    pageId: string;
    name?: string;
    description?: string;
    timeZone?: string;
    supportUrl?: string;
    now: number;
    by: Actor;
  },
): Page {
  const change: Partial<Page> = { updatedAt: input.now };
  if (input.name !== undefined)
    change.name = requireText(input.name, { field: "name", what: "a name for the page", most: 100 });
  if (input.timeZone !== undefined) change.timeZone = requireTimeZone(input.timeZone);
  if (input.description !== undefined) change.description = optionalText(input.description, "description", 500);
  if (input.supportUrl !== undefined)
    change.supportUrl = input.supportUrl.trim() === "" ? null : requireLink(input.supportUrl);
  return db.transaction((tx) => {
    const page = tx.update(pages).set(change).where(eq(pages.id, input.pageId)).returning().get();
    if (!page) throw new UserError("not_found", "There is no such page.");
    recordDeed(tx, input.by, input.now, { pageId: page.id, action: "page.change" });
    return page;
  });
}

export function findPage(db: Db | Tx, pageId: string): Page {
  const page = db.select().from(pages).where(eq(pages.id, pageId)).get();
  if (!page) throw new UserError("not_found", "There is no such page.");
  return page;
}

export function listPages(db: Db | Tx): Page[] {
  return db.select().from(pages).orderBy(asc(pages.createdAt), asc(pages.id)).all();
}

export function listHosts(db: Db | Tx): Host[] {
  return db.select().from(hosts).orderBy(asc(hosts.createdAt), asc(hosts.name)).all();
}

/** The origin that the page's links begin with, like https://status.example.com. */
export function originOf(db: Db | Tx, pageId: string): string {
  const host = db
    .select()
    .from(hosts)
    .where(and(eq(hosts.pageId, pageId), eq(hosts.purpose, "public")))
    .orderBy(asc(hosts.createdAt), asc(hosts.name))
    .get();
  if (!host) throw new Error(`Page ${pageId} has no host.`);
  return host.origin;
}

/** Takes `status.example.com` (https is meant) or a whole origin like http://127.0.0.1:8080. A name that the page has gets the new scheme and port. */
export function addHost(tx: Db | Tx, input: { pageId: string; host: string; now: number; by: Actor }): Host {
  const origin = requireOrigin(input.host);
  const name = hostName(origin);
  const known = tx.select().from(hosts).where(eq(hosts.name, name)).get();
  if (known && (known.pageId !== input.pageId || known.origin === origin.origin)) {
    const way =
      known.pageId === input.pageId
        ? "Nothing is to be done; candor host show says how it stands with it."
        : "Remove it there first: candor host remove, with --page.";
    const whose = known.pageId === input.pageId ? "this page" : "another page";
    throw new UserError("conflict", `${name} leads to ${whose} already. ${way}`, { field: "host" });
  }
  if (known) {
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "host.change", subject: name });
    return tx.update(hosts).set({ origin: origin.origin }).where(eq(hosts.name, name)).returning().get();
  }
  const row = { name, origin: origin.origin, pageId: input.pageId, purpose: "public" as const, createdAt: input.now };
  const host = tx.insert(hosts).values(row).returning().get();
  recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "host.add", subject: name });
  return host;
}

/** @throws UserError not_found, and conflict for the page's last host */
export function removeHost(db: Db, input: { pageId: string; host: string; now: number; by: Actor }): Host {
  return db.transaction((tx) => {
    const host = findHost(tx, input);
    if (publicHostsOf(tx, input.pageId).every((known) => known.name === host.name)) {
      throw new UserError("conflict", "This is the page's only host. Add the one that takes its place first.");
    }
    tx.delete(hosts).where(eq(hosts.name, host.name)).run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "host.remove", subject: host.name });
    return host;
  });
}

/** Links begin with this host from now on. The order of hosts is that of their dates, so it is dated before the others. */
export function putHostFirst(db: Db, input: { pageId: string; host: string; now: number; by: Actor }): Host {
  return db.transaction((tx) => {
    const host = findHost(tx, input);
    const first = publicHostsOf(tx, input.pageId)[0];
    if (!first || first.name === host.name) return host;
    const createdAt = first.createdAt - 1;
    tx.update(hosts).set({ createdAt }).where(eq(hosts.name, host.name)).run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "host.first", subject: host.name });
    return { ...host, createdAt };
  });
}

function publicHostsOf(tx: Db | Tx, pageId: string): Host[] {
  return listHosts(tx).filter((host) => host.pageId === pageId && host.purpose === "public");
}

/** One of the page's. @throws UserError not_found */
export function findHost(tx: Db | Tx, input: { pageId: string; host: string }): Host {
  const name = hostName(requireOrigin(input.host));
  const host = publicHostsOf(tx, input.pageId).find((known) => known.name === name);
  if (!host) throw new UserError("not_found", `${name} isn't a host of this page. See candor host list.`);
  return host;
}

/** Host without its port, in lower case, IPv6 brackets kept: how the hosts table and the Host header are compared. */
export function hostName(url: URL): string {
  return url.hostname.toLowerCase();
}

export function requireOrigin(text: string): URL {
  const advice = "Give a host name like status.example.com, or its address like https://status.example.com.";
  const given = text.trim();
  if (!given || /[\s@\\]/.test(given)) throw new UserError("invalid", advice, { field: "host" });
  let url: URL;
  try {
    url = new URL(given.includes("://") ? given : `https://${given}`);
  } catch {
    throw new UserError("invalid", advice, { field: "host" });
  }
  const bare =
    url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (!["http:", "https:"].includes(url.protocol) || !bare || url.hostname === "") {
    throw new UserError("invalid", advice, { field: "host" });
  }
  const name = hostName(url);
  if (isWildcard(name)) {
    const way = "One certificate for all hosts of a domain is had with: candor config set acme.wildcards DOMAIN";
    throw new UserError("invalid", `Add each host by its own name. ${way}`, { field: "host" });
  }
  if (!isAddress(name) && !isDnsName(name)) {
    const rule = "Between the dots of a host name stand letters, digits and hyphens";
    throw new UserError("invalid", `${rule}, which ${name} doesn't keep to. ${advice}`, { field: "host" });
  }
  return url;
}

export function requireTimeZone(text: string): string {
  const known = Intl.supportedValuesOf("timeZone");
  const given = text.trim();
  if (given === "UTC" || given === "Etc/UTC") return "Etc/UTC";
  const match = known.find((zone) => zone.toLowerCase() === given.toLowerCase());
  if (match) return match;
  const near = known.find(
    (zone) => given !== "" && zone.toLowerCase().includes(given.toLowerCase().replaceAll(" ", "_")),
  );
  throw new UserError(
    "invalid",
    `There is no time zone ${JSON.stringify(given)}. Give an IANA name like ${near ?? "Europe/Berlin"}.`,
    { field: "time_zone" },
  );
}

function requireLink(text: string): string {
  const advice = "Give a web address that begins with https:// or http://, or a mailto: address.";
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new UserError("invalid", advice, { field: "support_url" });
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol))
    throw new UserError("invalid", advice, { field: "support_url" });
  return url.href;
}

function optionalText(text: string, field: string, most: number): string | null {
  return text.trim() === "" ? null : requireText(text, { field, what: "a text", most });
}
