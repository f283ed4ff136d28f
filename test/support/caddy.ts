/**
 * A certificate authority as people run it at home: Debian's Caddy with acme_server. It looks for what is shown at the
 * ports 80 and 443 that the standard names, so the host gets an address of this machine's own, in a hosts file that
 * Caddy alone sees.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "./ports.ts";

type Caddy = {
  directory: string;
  /** PEM file: the root of its directory's certificate, and of what it issues. */
  caFile: string;
  root: string;
  /** Leads a port of the host's address to another of this machine, until `close`. */
  lead(from: 80 | 443, to: number): Promise<{ close(): Promise<void> }>;
};

/** Needs root, to mount the file and to listen below port 1024. */
export async function startCaddy(t: TestContext, input: { host: string; address: string }): Promise<Caddy> {
  const folder = mkdtempSync(join(tmpdir(), "candor-caddy-"));
  const port = await freePort();
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const hosts = file("hosts", `127.0.0.1 localhost\n${input.address} ${input.host}\n`);
  const config = file(
    "Caddyfile",
    `{
  admin off
  auto_https disable_redirects
  skip_install_trust
  storage file_system ${join(folder, "storage")}
}
https://localhost:${port} {
  bind 127.0.0.1
  tls internal
  acme_server
}
`,
  );
  const commands = `mount --bind ${hosts} /etc/hosts && exec caddy run --config ${config} --adapter caddyfile`;
  const caddy = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", commands], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  });
  let said = "";
  caddy.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-2_000);
  });
  t.after(async () => {
    if (caddy.exitCode === null && caddy.kill("SIGKILL")) await once(caddy, "close");
    rmSync(folder, { recursive: true });
  });
  const caFile = join(folder, "storage/pki/authorities/local/root.crt");
  const directory = `https://localhost:${port}/acme/local/directory`;
  for (const patience = Date.now() + 30_000; !(await isThere(directory, caFile)); ) {
    if (caddy.exitCode !== null || Date.now() > patience) throw new Error(`Caddy doesn't answer: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const lead: Caddy["lead"] = async (from, to) => {
    const sockets = new Set<Socket>();
    const keep = (socket: Socket, other: () => Socket | undefined) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other()?.destroy();
      });
    };
    const door: Server = createServer((near) => {
      const far = connect(to, "127.0.0.1");
      keep(near, () => far);
      keep(far, () => near);
      near.pipe(far).pipe(near);
    });
    const close = async () => {
      for (const socket of sockets) socket.destroy();
      if (door.listening) await new Promise((resolve) => door.close(resolve));
    };
    t.after(close);
    door.listen(from, input.address);
    await once(door, "listening");
    return { close };
  };
  return { directory, caFile, root: readFileSync(caFile, "utf8"), lead };
}

function isThere(directory: string, caFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const call = request(directory, { ca: readFileSync(caFile), agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      call.on("error", () => resolve(false));
      call.end();
    } catch {
      resolve(false); // It hasn't made its root yet.
    }
  });
}
