/** The real server, set up to get its certificates from a real authority, with a clock that can be put forward. */
import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { foundHouse, prepareKeys } from "../../src/founding.ts";
import { openHouse, type RunningServer, startServer } from "../../src/server.ts";
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
  /** The newest first. */
  orders(): Order[];
  certificates(): Certificate[];
  /** What a client that trusts `root` alone gets in a handshake. */
  handshake(root: string): Promise<X509Certificate>;
};

export const host = "status.example.com";

export async function serveByAcme(
  t: TestContext,
  authority: Served,
  settings: Partial<Record<SettingName, string>> = {},
): Promise<AcmeHouse> {
  const folder = mkdtempSync(join(tmpdir(), "candor-acme-"));
  const place = { data: join(folder, "data"), keyFile: join(folder, "candor.key") };
  const now = Date.now();
  prepareKeys({ ...place, now });
  const founded = openHouse({ ...place, environment: {}, mayBeNew: true, write: () => {} });
  const names = { pageName: "Acme", host, owner: "o@example.com", smtpUrl: "", acmeContact: "", timeZone: "UTC" };
  foundHouse(founded, { ...names, now, by: { kind: "operator" } });
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
      "acme.directory": authority.directory,
      "acme.ca_file": authority.caFile,
      "acme.contact": "o@example.com",
      "acme.dns_servers": authority.dns,
      ...settings,
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
    orders: () => listOrdersOf(db, { name: host, purpose: "serve" }),
    certificates: () => listCertificates(db),
    handshake: (root) =>
      new Promise((resolve, reject) => {
        const socket = connect({ port: authority.tlsPort, host: "127.0.0.1", servername: host, ca: root }, () => {
          resolve(socket.getPeerX509Certificate() as X509Certificate);
          socket.destroy();
        });
        socket.on("error", reject);
      }),
  };
}
