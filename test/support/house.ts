/**
 * A whole house in memory: the real app behind the real edge on a real socket, with a clock that tests move and a
 * letterbox for its mail. The same three inhabitants everywhere: Olive the owner, Paul the publisher, and a stranger.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { createApp } from "../../src/app.ts";
import { createComponent, createGroup } from "../../src/components/components.ts";
import type { SettingName } from "../../src/config.ts";
import { createKeyring, openKeyring } from "../../src/crypto/keyring.ts";
import type { Deps } from "../../src/deps.ts";
import { createEdge, hangGate } from "../../src/edge.ts";
import { addHost, createPage, type Page } from "../../src/pages/pages.ts";
import type { Role } from "../../src/schema.ts";
import { openHouse } from "../../src/server.ts";
import { createMember, createSignInLink, type Member } from "../../src/team/members.ts";
import { createToken } from "../../src/team/tokens.ts";

export const monday = Date.parse("2026-11-23T09:00:00Z");

export type Answer = { status: number; headers: IncomingHttpHeaders; text: string; json: () => any };
export type Visit = { method?: string; headers?: Record<string, string>; body?: string | Buffer; host?: string };

/** A browser without JavaScript: keeps cookies, fills in the hidden CSRF field, follows 303. */
export type Browser = {
  open(path: string): Promise<Answer>;
  send(path: string, fields: Record<string, string | string[]>): Promise<Answer>;
};

export type House = {
  deps: Deps;
  page: Page;
  /** Component ids by name: API, Checkout (in the group Shop), Search (in the group Shop). */
  parts: Record<"API" | "Checkout" | "Search", string>;
  owner: Member;
  publisher: Member;
  port: number;
  lines: string[];
  visit(path: string, visit?: Visit): Promise<Answer>;
  /** The same app as the operator's socket serves it. */
  operate(method: string, path: string, body?: unknown): Promise<Answer>;
  token(role: Role): string;
  api(secret: string, method: string, path: string, body?: unknown): Promise<Answer>;
  signIn(who: Member): Promise<Browser>;
  stranger(): Browser;
  /** The clock goes on. */
  pass(ms: number): void;
  /** Everything announced is expanded and everything due is delivered. */
  settle(): Promise<void>;
  close(): Promise<void>;
};

export const host = "status.example.com";

/** A keyring of its own, of which nothing is left on the disk. */
export function testKeys(): Deps["keys"] {
  const folder = mkdtempSync(join(tmpdir(), "candor-test-"));
  const kek = Buffer.alloc(32, 7);
  createKeyring(join(folder, "keyring.json"), kek, monday);
  const keys = openKeyring(join(folder, "keyring.json"), kek);
  rmSync(folder, { recursive: true });
  return keys;
}

export async function openTestHouse(settings: Partial<Record<SettingName, string>> = {}): Promise<House> {
  const keys = testKeys();
  let now = monday;
  const clock = { now: () => now };
  const lines: string[] = [];
  const house = openHouse({
    data: undefined,
    keys,
    environment: {},
    overrides: settings,
    clock,
    write: (line) => lines.push(line),
  });
  const { db } = house;
  const by = { kind: "system" as const };
  const page = createPage(db, { name: "Acme", timeZone: "Europe/Berlin", now, by });
  const pageId = page.id;
  addHost(db, { pageId, host, now, by });
  const shop = createGroup(db, { pageId, name: "Shop", now, by });
  const parts = {
    API: createComponent(db, { pageId, name: "API", now, by }).id,
    Checkout: createComponent(db, { pageId, name: "Checkout", groupId: shop.id, now, by }).id,
    Search: createComponent(db, { pageId, name: "Search", groupId: shop.id, now, by }).id,
  };
  const owner = createMember(db, { address: "olive@example.com", roles: ["owner"], keys, now, by });
  const publisher = createMember(db, { address: "paul@example.com", roles: ["publisher"], keys, now, by });

  const app = createApp(house);
  house.press.pressAll();
  const visitors = getRequestListener((incoming, env: any) =>
    app.fetch(incoming, { peer: env.incoming.headers["x-test-peer"] ?? "192.0.2.1", operator: false }),
  );
  const health = (_request: unknown, response: any) => response.writeHead(200).end("ok");
  const server = createServer();
  hangGate(server, createEdge({ press: house.press, app: visitors, health }));
  const port = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as any).port)),
  );

  // A test that fails before it closes its house must not keep the process.
  server.unref();
  const visit: House["visit"] = (path, options = {}) => ask(port, path, options);
  const browser = (): Browser => browse(visit);
  return {
    deps: house,
    page,
    parts,
    owner,
    publisher,
    port,
    lines,
    visit,
    operate: async (method, path, body) => {
      const init =
        body === undefined
          ? { method }
          : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      const response = await app.fetch(new Request(`http://candor${path}`, init), { peer: "operator", operator: true });
      return answerOf(response.status, Object.fromEntries(response.headers), await response.text());
    },
    token: (role) => createToken(db, { name: "test", role, now, by }).secret,
    api: (secret, method, path, body) =>
      visit(path, {
        method,
        headers: {
          authorization: `OAuth ${secret}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    signIn: async (who) => {
      const secret = createSignInLink(db, { memberId: who.id, now, by });
      const browserOf = browser();
      await browserOf.open(`/admin/enter/${secret}`);
      await browserOf.send(`/admin/enter/${secret}`, {});
      return browserOf;
    },
    stranger: browser,
    pass: (ms) => {
      now += ms;
    },
    settle: async () => {
      await house.announcer.idle();
      await house.mailer.idle();
    },
    close: async () => {
      await closeServer(server);
      await house.close();
    },
  };
}

function ask(port: number, path: string, options: Visit): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host: options.host ?? host, ...options.headers };
    const call = request({ port, path, method: options.method ?? "GET", headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () =>
        resolve(answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString("utf8"))),
      );
    });
    call.on("error", reject);
    call.end(options.body);
  });
}

function answerOf(status: number, headers: IncomingHttpHeaders, text: string): Answer {
  return { status, headers, text, json: () => JSON.parse(text) };
}

function browse(visit: House["visit"]): Browser {
  const cookies = new Map<string, string>();
  let csrf = "";
  const go = async (path: string, options: Visit): Promise<Answer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await visit(path, { ...options, headers: { ...options.headers, ...(cookie ? { cookie } : {}) } });
    for (const line of answer.headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const token = /name="_csrf" value="([^"]+)"/.exec(answer.text)?.[1];
    if (token) csrf = token;
    if (answer.status === 303 && answer.headers.location) return go(answer.headers.location, {});
    return answer;
  };
  return {
    open: (path) => go(path, {}),
    send: (path, fields) => {
      const body = new URLSearchParams();
      for (const [name, value] of Object.entries({ _csrf: csrf, ...fields })) {
        for (const one of Array.isArray(value) ? value : [value]) body.append(name, one);
      }
      const headers = {
        "content-type": "application/x-www-form-urlencoded",
        origin: `https://${host}`,
        "sec-fetch-site": "same-origin",
      };
      return go(path, { method: "POST", headers, body: body.toString() });
    },
  };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
