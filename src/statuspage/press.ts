/**
 * The pressed page: every public answer is rendered once per change, kept in memory in both encodings with a strong
 * ETag, and served from there. What is fresh at once (the front page, the month of a change, the incident, the API) is
 * pressed before the publisher gets an answer; the long past is pressed in idle moments after the start.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Clock } from "../clock.ts";
import type { Db } from "../db.ts";
import { asset, assetNames } from "../embedded.ts";
import { UserError } from "../errors.ts";
import { findIncident, listIncidentIds, tellStory } from "../incidents/stories.ts";
import type { Log } from "../log.ts";
import { findPage, listHosts, listPages, originOf } from "../pages/pages.ts";
import type { Render } from "../render.ts";
import type { Transport } from "../tls/transport.ts";
import { takeTurn } from "../turns.ts";
import { apiDocuments } from "./api-v2.ts";
import { dateOf, startOfDay } from "./days.ts";
import { frontView } from "./front.ts";
import { historyMonths, historyView } from "./history.ts";
import { incidentView } from "./incident.ts";
import { readState } from "./state.ts";
import { frame, missingView, subscribeView } from "./words.ts";

export type Pressed = {
  etag: string;
  /** Body and raw header list for node's writeHead. The smaller one is made when it is first asked for, and kept. */
  identity: Encoded;
  gzip(): Encoded;
  notModified: string[];
};

type Encoded = { headers: string[]; body: Buffer };

export type Press = {
  /** The pressed answer for a host's name and a path without query; undefined when there is none. */
  find(host: string, path: string): Pressed | undefined;
  /** What the table says of the host's name: where the page is to be found under it. Undefined for a stranger's. */
  originOf(host: string): string | undefined;
  /** What is said of https to whoever asks for the host: raw header pairs, as they were when the hosts were last read. */
  transportOf(host: string): string[];
  /** Reads the hosts again, because what is said of https changes with time. Needs the database; nothing is pressed. */
  readHosts(): void;
  /** The page that says that nothing is here. */
  missing(host: string): Pressed | undefined;
  /**
   * Presses what a change of the page or of one incident touches. Call before answering whoever made the change. What
   * was committed stays so, also when this fails: it is logged, and tried again every second.
   */
  press(pageId: string, incidentId?: string): void;
  /** Everything again, hosts and templates included; what is old follows in idle moments. */
  pressAll(): void;
  /** Presses anew what a new day made untrue, and what couldn't be pressed when it changed. @returns whether it did */
  pressNewDay(): boolean;
  /** The name under which templates link an asset. */
  assetPath(name: string): string;
  stop(): void;
};

/** `complete`: the long past is pressed as well, so that a path that isn't here is nowhere. */
type Shelf = {
  pages: Map<string, Pressed>;
  missing: Pressed | undefined;
  validUntil: number;
  complete: boolean;
  /** Presses what stands beside the front page; undefined once that is done. */
  rest: (() => void) | undefined;
};

/** Whoever waited for the change, or for the start, is answered before the past is looked at. */
const idleAfterMs = 50;

export function createPress(input: { db: Db; render: Render; clock: Clock; log: Log; transport: Transport }): Press {
  const { db, render, clock, log, transport } = input;
  let hosts = new Map<string, { pageId: string; origin: string; transport: string[] }>();
  const shelves = new Map<string, Shelf>();
  const assets = pressAssets();
  /** Pages that changed and couldn't be pressed. */
  const overdue = new Set<string>();
  let idle: NodeJS.Timeout | undefined;
  /** Counts what was begun: whoever presses the past stops when somebody else began anew. */
  let round = 0;

  const html = (template: string, view: object) =>
    pressed(Buffer.from(render(template, { ...view, assets: assets.paths })), "text/html; charset=utf-8", htmlHeaders);

  const pressOne = (pageId: string, path: string): Pressed | undefined => {
    const origin = originOf(db, pageId);
    const incident = /^\/incidents\/([a-z0-9]{12})$/.exec(path)?.[1];
    if (incident) {
      try {
        findIncident(db, { pageId, id: incident });
      } catch (error) {
        if (error instanceof UserError) return undefined;
        throw error;
      }
      const view = incidentView(db, {
        page: findPage(db, pageId),
        origin,
        story: tellStory(db, { pageId, id: incident }),
      });
      return html("public/incident", view);
    }
    const month = /^\/history\/(\d{4}-\d{2})$/.exec(path)?.[1];
    if (!month) return undefined;
    const view = historyView(db, { page: findPage(db, pageId), origin, month, now: clock.now() });
    return view && html("public/history", view);
  };

  /** For whom no caller catches: what can't be pressed must not end the process, and with it what is pressed already. */
  const attempt = <Result>(work: () => Result): Result | undefined => {
    try {
      return work();
    } catch (error) {
      log.error("page.press_failed", { error });
      return undefined;
    }
  };

  /** The front page at once, everything that changes with it by `rest`: at the start the first visitor waits for neither. */
  const shelve = (pageId: string, known: Map<string, Pressed>): Shelf => {
    const now = clock.now();
    const state = readState(db, pageId);
    const { page, origin } = state;
    const today = dateOf(now, page.timeZone);
    const tomorrow = Temporal.PlainDate.from(today).add({ days: 1 }).toString();
    const pages = new Map(known).set("/", html("public/front", frontView(db, state, now)));
    const shelf: Shelf = {
      pages,
      missing: undefined,
      validUntil: startOfDay(tomorrow, page.timeZone),
      complete: false,
      rest: undefined,
    };
    shelf.rest = () => {
      const history = historyView(db, { page, origin, month: today.slice(0, 7), now });
      if (history) pages.set("/history", html("public/history", history));
      pages.set("/subscribe", html("public/subscribe", subscribeView(state)));
      pages.set("/subscribe/sent", html("public/sent", { ...frame(page, origin), title: "Check your inbox" }));
      pages.set("/unsubscribed", html("public/left", { ...frame(page, origin), title: "You have left" }));
      shelf.missing = html("public/missing", missingView(page, origin));
      for (const [path, document] of Object.entries(apiDocuments(db, state))) {
        const body = Buffer.from(JSON.stringify(document));
        pages.set(path, pressed(body, "application/json; charset=utf-8", apiHeaders));
      }
      shelf.rest = undefined;
    };
    return shelf;
  };

  const forget = (pages: Map<string, Pressed>, pageId: string, incidentId: string) => {
    pages.delete(`/incidents/${incidentId}`);
    // A deleted incident may have stood in any month, and so may a maintenance that was put off.
    const { timeZone } = findPage(db, pageId);
    try {
      const { startedAt, scheduledFor } = findIncident(db, { pageId, id: incidentId });
      if (scheduledFor === null) return void pages.delete(`/history/${dateOf(startedAt, timeZone).slice(0, 7)}`);
    } catch {}
    for (const path of pages.keys()) if (path.startsWith("/history/")) pages.delete(path);
  };

  /** The long past: two or three milliseconds of work a turn. */
  const warm = () => {
    let paths: { pageId: string; path: string }[] | undefined;
    const list = () =>
      listPages(db).flatMap((page) => {
        const incidents = listIncidentIds(db, page.id).map((id) => `/incidents/${id}`);
        const months = historyMonths(db, page, clock.now()).map((month) => `/history/${month}`);
        return [...incidents, ...months].map((path) => ({ pageId: page.id, path }));
      });
    const pressSome = (): boolean => {
      const began = performance.now();
      for (const shelf of shelves.values()) shelf.rest?.();
      paths ??= list();
      for (let next = paths.shift(); next; next = paths.shift()) {
        const shelf = shelves.get(next.pageId);
        if (shelf && !shelf.pages.has(next.path)) {
          const one = pressOne(next.pageId, next.path);
          if (one) shelf.pages.set(next.path, one);
        }
        if (performance.now() - began > 2) break;
      }
      return paths.length > 0;
    };
    round += 1;
    const own = round;
    const step = () => {
      if (own !== round) return;
      const more = attempt(pressSome);
      if (more) takeTurn(step);
      // After a failure what is missing is pressed when it is asked for.
      if (more === false) for (const shelf of shelves.values()) shelf.complete = true;
    };
    clearTimeout(idle);
    idle = setTimeout(() => takeTurn(step), idleAfterMs);
  };

  const readHosts = () => {
    hosts = new Map(
      listHosts(db).map(({ name, pageId, origin }) => [name, { pageId, origin, transport: transport(origin) }]),
    );
  };

  const press = (pageId: string, incidentId?: string): boolean => {
    const done = attempt(() => pressChange(pageId, incidentId)) !== undefined;
    if (done) overdue.delete(pageId);
    else overdue.add(pageId);
    return done;
  };

  const pressChange = (pageId: string, incidentId: string | undefined): true => {
    readHosts();
    const known = shelves.get(pageId)?.pages ?? new Map<string, Pressed>();
    // A change of names shows in every old page; they are pressed again on demand and in idle moments.
    const kept = incidentId ? new Map(known) : new Map<string, Pressed>();
    if (incidentId) forget(kept, pageId, incidentId);
    const shelf = shelve(pageId, kept);
    shelf.rest?.();
    if (incidentId) {
      const one = pressOne(pageId, `/incidents/${incidentId}`);
      if (one) shelf.pages.set(`/incidents/${incidentId}`, one);
    }
    shelves.set(pageId, shelf);
    warm();
    return true;
  };

  return {
    originOf: (host) => hosts.get(host)?.origin,
    transportOf: (host) => hosts.get(host)?.transport ?? [],
    readHosts,
    find: (host, path) => {
      const pageId = hosts.get(host)?.pageId;
      if (!pageId) return undefined;
      const shelf = shelves.get(pageId);
      if (path !== "/") attempt(() => shelf?.rest?.());
      const found = shelf?.pages.get(path) ?? assets.byPath.get(path);
      if (found || !shelf || shelf.complete) return found;
      const one = attempt(() => pressOne(pageId, path));
      if (one) shelf.pages.set(path, one);
      return one;
    },
    missing: (host) => {
      const shelf = shelves.get(hosts.get(host)?.pageId ?? "");
      attempt(() => shelf?.rest?.());
      return shelf?.missing;
    },
    press: (pageId, incidentId) => void press(pageId, incidentId),
    pressAll: () => {
      readHosts();
      for (const page of listPages(db)) shelves.set(page.id, shelve(page.id, new Map()));
      warm();
    },
    pressNewDay: () => {
      let did = false;
      for (const [pageId, shelf] of shelves) {
        const isOverdue = overdue.has(pageId);
        if (!isOverdue && clock.now() < shelf.validUntil) continue;
        if (!press(pageId)) continue;
        if (!isOverdue) log.info("page.new_day", { pageId });
        did = true;
      }
      return did;
    },
    assetPath: (name) => assets.paths[name] ?? "",
    stop: () => {
      round += 1;
      clearTimeout(idle);
    },
  };
}

/** Assets are named by their content, so that browsers may keep them for ever. */
function pressAssets(): { byPath: Map<string, Pressed>; paths: Record<string, string> } {
  const byPath = new Map<string, Pressed>();
  const paths: Record<string, string> = {};
  for (const name of assetNames()) {
    const bytes = asset(name);
    const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
    const [stem = "", extension = ""] = name.split(".");
    const path = `/assets/${stem}-${hash}.${extension}`;
    const type = { css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" }[
      extension
    ];
    const common = ["cache-control", "public, max-age=31536000, immutable", ...securityHeaders];
    byPath.set(path, pressed(bytes, type ?? "application/octet-stream", common));
    paths[stem] = path;
  }
  return { byPath, paths };
}

function pressed(body: Buffer, type: string, headers: string[]): Pressed {
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const lasting = ["etag", etag, "vary", "accept-encoding", ...headers];
  const encoded = (bytes: Buffer, how: string[]): Encoded => ({
    body: bytes,
    headers: ["content-type", type, ...how, "content-length", String(bytes.length), ...lasting],
  });
  let gzip: Encoded | undefined;
  return {
    etag,
    identity: encoded(body, []),
    gzip: () => {
      gzip ??= encoded(gzipSync(body), ["content-encoding", "gzip"]);
      return gzip;
    },
    notModified: lasting,
  };
}

/** `no-cache` means: ask again each time (a 304 is cheap); a copy may still be shown while we can't be reached. */
const revalidate = ["cache-control", "public, no-cache, stale-if-error=86400"];

const securityHeaders = ["x-content-type-options", "nosniff"];

export const contentSecurityPolicy =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export const htmlHeaders = [
  ...revalidate,
  ...securityHeaders,
  "content-security-policy",
  contentSecurityPolicy,
  // Not "no-referrer": under that, browsers send our own forms with the origin "null" (Fetch standard, 3.2).
  "referrer-policy",
  "same-origin",
  "cross-origin-opener-policy",
  "same-origin",
  "permissions-policy",
  "camera=(), geolocation=(), microphone=()",
];

const apiHeaders = [
  ...revalidate,
  ...securityHeaders,
  "access-control-allow-origin",
  "*",
  "access-control-expose-headers",
  "etag",
];
