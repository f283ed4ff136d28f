/** The real server, set up to get its certificates from a real authority, with a clock that can be put forward. */
import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { request } from "node:http";
import type { TestContext } from "node:test";
import { connect } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { addHost, listPages } from "../../src/pages/pages.ts";
import { socketPath } from "../../src/server.ts";
import { type Certificate, listCertificates } from "../../src/tls/certificates.ts";
import { listOrdersOf, type Order } from "../../src/tls/orders.ts";
import { type Started, startFounded } from "./started.ts";

/** What of an authority must be known to be served by it. */
export type Served = { directory: string; caFile: string; dns: string; httpPort: number; tlsPort: number };

export type AcmeHouse = Started & {
  /** Resolves when it is so; fails after half a minute. */
  until(what: () => boolean): Promise<void>;
  skipAhead(ms: number): void;
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
  const [first = "", ...others] = hosts;
  // Stored, so that a test may choose another while it runs.
  const { "acme.directory": directory = authority.directory, ...overrides } = settings;
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const server = await startFounded({
    host: first,
    clock,
    overrides: {
      listen: `127.0.0.1:${authority.httpPort}`,
      "https.listen": `127.0.0.1:${authority.tlsPort}`,
      "acme.ca_file": authority.caFile,
      "acme.contact": "o@example.com",
      "acme.dns_servers": authority.dns,
      ...overrides,
    },
    first: ({ db, config }) => {
      const now = clock.now() + 1;
      const [page] = listPages(db);
      for (const other of others) addHost(db, { pageId: page?.id ?? "", host: other, now, by: { kind: "operator" } });
      config.set("acme.directory", directory, now);
    },
  });
  t.after(() => server.stop().catch(() => {}));
  const { lines } = server;
  const pageId = listPages(server.deps.db)[0]?.id ?? "";
  const { db } = server.deps;
  return {
    ...server,
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
      const { status, text } = await askSocket(socketPath(server.data), method, `/v1/pages/${pageId}${path}`, body);
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
