/** The real server with its two doors, the page status.example.com on both, and connections on which anything can be said. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectSecurely } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { foundHouse, prepareKeys } from "../../src/founding.ts";
import { openHouse, type RunningServer, startServer } from "../../src/server.ts";
import { importCertificate } from "../../src/tls/certificates.ts";
import { createAuthority } from "../support/authority.ts";
import { freePort } from "../support/ports.ts";

export const doorNames = ["http", "TLS"] as const;
export type DoorName = (typeof doorNames)[number];

export const good = "Host: status.example.com\r\n";

export type RealServer = RunningServer & {
  /** Resolves when it may be spoken on: over TLS, after the handshake. One that is closed before it rejects. */
  enter(door: DoorName, localAddress?: string): Promise<Socket>;
};

export async function startRealServer(settings: Partial<Record<SettingName, string>> = {}): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), "candor-edge-"));
  const place = { data: join(folder, "data"), keyFile: join(folder, "candor.key") };
  const now = Date.now();
  prepareKeys({ ...place, now });
  const founded = openHouse({ ...place, environment: {}, mayBeNew: true, write: () => {} });
  // A page in clear is served through both doors; one that wants https would send the first door's visitors to the other.
  const names = { pageName: "Acme", host: "http://status.example.com", owner: "olive@example.com" };
  foundHouse(founded, { ...names, smtpUrl: "", acmeContact: "", timeZone: "UTC", now, by: { kind: "operator" } });
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["status.example.com"]);
  const chain = certificate + authority.intermediate;
  importCertificate(founded.db, { chain, key, authority: authority.root, keys: founded.keys, now });
  await founded.close();
  const port = await freePort();
  const server = await startServer({
    ...place,
    environment: {},
    overrides: { ...settings, listen: "127.0.0.1:0", "https.listen": `127.0.0.1:${port}` },
    write: () => {},
  });
  const ports = { http: Number(new URL(server.origin).port), TLS: port };
  return {
    ...server,
    enter: (door, localAddress = "127.0.0.1") =>
      new Promise((resolve, reject) => {
        const where = { port: ports[door], host: "127.0.0.1", localAddress };
        const socket: Socket =
          door === "http"
            ? connectPlain(where, () => resolve(socket))
            : connectSecurely({ ...where, servername: "status.example.com", ca: authority.root }, () =>
                resolve(socket),
              );
        socket.on("error", reject);
      }),
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
