/** The real server with its two doors, the page status.example.com on both, and connections on which anything can be said. */
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { createAuthority } from "../support/authority.ts";
import { freePort } from "../support/ports.ts";
import { importIssued, type Started, startFounded } from "../support/started.ts";

export const doorNames = ["http", "TLS"] as const;
export type DoorName = (typeof doorNames)[number];

export const good = "Host: status.example.com\r\n";

export type RealServer = Started & {
  /** Resolves when it may be spoken on: over TLS, after the handshake. One that is closed before it rejects. */
  enter(door: DoorName, localAddress?: string): Promise<Socket>;
};

export async function startRealServer(settings: Partial<Record<SettingName, string>> = {}): Promise<RealServer> {
  const authority = await createAuthority();
  const issued = await authority.issue(["status.example.com"]);
  const port = await freePort();
  const server = await startFounded({
    // A page in clear is served through both doors; one that wants https would send the first door's visitors to the other.
    host: "http://status.example.com",
    overrides: { ...settings, "https.listen": `127.0.0.1:${port}` },
    first: (founded) => importIssued(founded, authority, issued),
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
  };
}
