/** The real server, set up to get its certificates from a real authority, with a clock that can be put forward. */
import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { foundHouse, prepareKeys } from "../../src/founding.ts";
import { addHost, listPages } from "../../src/pages/pages.ts";
import { openHouse, type RunningServer, socketPath, startServer } from "../../src/server.ts";
import { type Certificate, listCertificates } from "../../src/tls/certificates.ts";
import { listOrdersOf, type Order } from "../../src/tls/orders.ts";

/** What of an authority must be known to be served by it. */
export type Served = { directory: string; caFile: string; dns: string; httpPort: number; tlsPort: number };

export type AcmeHouse = RunningServer & {
  /** Resolves when it is so; fails after half a minute. */
  until(what: () => boolean): Promise<void>;
  skipAhead(ms: number): void;
  /** What it has logged. */
  lines: string[];
  /** The newest first, of the first host unless named. */
  orders(name?: string): Order[];
  certificates(): Certificate[];
  /** What a client that trusts `root` alone gets in a handshake. */
  handshake(root: string, name?: string): Promise<X509Certificate>;
  /** As the command line asks, over the socket in the data folder; below the page. */
  operate(method: string, path: string, body?: unknown): Promise<any>;
};

export const host = "status.example.com";

export async function serveByAcme(
  t: TestContext,
  authority: Served,
  settings: Partial<Record<SettingName, string>> = {},
  hosts: string[] = [host],
): Promise<AcmeHouse> {
  const folder = mkdtempSync(join(tmpdir(), "candor-acme-"));
  const place = { data: join(folder, "data"), keyFile: join(folder, "candor.key") };
  const now = Date.now();
  const by = { kind: "operator" } as const;
  prepareKeys({ ...place, now });
  const founded = openHouse({ ...place, environment: {}, mayBeNew: true, write: () => {} });
  const [first = "", ...others] = hosts;
  const names = { pageName: "Acme", host: first, owner: "o@example.com", smtpUrl: "", acmeContact: "" };
  foundHouse(founded, { ...names, timeZone: "UTC", now, by });
  const pageId = listPages(founded.db)[0]?.id ?? "";
  for (const other of others) addHost(founded.db, { pageId, host: other, now: now + 1, by });
  // Stored, so that a test may choose another while it runs.
  const { "acme.directory": directory = authority.directory, ...overrides } = settings;
  founded.config.set("acme.directory", directory, now);
  await founded.close();
  const lines: string[] = [];
  let ahead = 0;
  const server = await startServer({
    ...place,
    environment: {},
    clock: { now: () => Date.now() + ahead },
    overrides: {
      listen: `127.0.0.1:${authority.httpPort}`,
      "https.listen": `127.0.0.1:${authority.tlsPort}`,
      "acme.ca_file": authority.caFile,
      "acme.contact": "o@example.com",
      "acme.dns_servers": authority.dns,
      ...overrides,
    },
    write: (line) => lines.push(line),
  });
  t.after(async () => {
    await server.stop().catch(() => {});
    rmSync(folder, { recursive: true });
  });
  const { db } = server.deps;
  return {
    ...server,
    lines,
    until: async (what) => {
      for (let tries = 0; !what(); tries++) {
        assert.ok(tries < 600, `It didn't come to it: ${lines.slice(-10).join("")}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    skipAhead: (ms) => {
      ahead += ms;
    },
    orders: (name = host) => listOrdersOf(db, { name, purpose: "serve" }),
    certificates: () => listCertificates(db),
    handshake: (root, name = host) =>
      new Promise((resolve, reject) => {
        const socket = connect({ port: authority.tlsPort, host: "127.0.0.1", servername: name, ca: root }, () => {
          resolve(socket.getPeerX509Certificate() as X509Certificate);
          socket.destroy();
        });
        socket.on("error", reject);
      }),
    operate: async (method, path, body) => {
      const { status, text } = await askSocket(socketPath(place.data), method, `/v1/pages/${pageId}${path}`, body);
      if (status >= 400) throw new Error(`${status} ${text}`);
      return JSON.parse(text);
    },
  };
}

function askSocket(socket: string, method: string, path: string, body: unknown) {
  const headers = { "content-type": "application/json", host: "candor" };
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const call = request({ socketPath: socket, method, path, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
