/**
 * A real certificate authority: Let's Encrypt's Pebble with its DNS, on ports of its own. Every name of its DNS leads to
 * this machine, where it looks for what we show at the ports that the server under test listens on.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createAuthority } from "./authority.ts";
import { freePort } from "./ports.ts";

export type Pebble = {
  directory: string;
  /** PEM file: the root of the directory's own certificate. */
  caFile: string;
  /** A certificate for localhost of the same root, for whoever stands before it. */
  issueForDirectory(): Promise<{ certificate: string; key: string }>;
  /** `127.0.0.1:port` of its DNS. */
  dns: string;
  /** `127.0.0.1:port` that its DNS is told at. */
  dnsManagement: string;
  /** Where it looks for what is shown. */
  httpPort: number;
  tlsPort: number;
  /** The root of the certificates that it issues. */
  root(): Promise<string>;
  /** Tells its DNS something: /add-a, /add-caa, /set-default-ipv4, … */
  tellDns(path: string, body: object): Promise<void>;
  kill(): void;
  /** With nothing remembered, as Pebble does. */
  start(): Promise<void>;
};

export async function startPebble(
  t: TestContext,
  options: { environment?: Record<string, string>; config?: object } = {},
): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), "candor-pebble-"));
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["localhost"], {});
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const caFile = file("root.pem", authority.root);
  const ports = [];
  for (let count = 0; count < 6; count++) ports.push(await freePort());
  const [api, management, httpPort, tlsPort, dnsPort, dnsManagement] = ports as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const config = file(
    "pebble.json",
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${api}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: file("chain.pem", certificate + authority.intermediate),
        privateKey: file("key.pem", key),
        httpPort,
        tlsPort,
        ocspResponderURL: "",
        externalAccountBindingRequired: false,
        ...options.config,
      },
    }),
  );
  const dnsServer = spawn(
    "pebble-challtestsrv",
    [
      ...["-dns01", `127.0.0.1:${dnsPort}`, "-management", `127.0.0.1:${dnsManagement}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
    ],
    { stdio: "ignore" },
  );
  let pebble: ReturnType<typeof spawn> | undefined;
  const agent = new Agent({ ca: authority.root });
  const read = (url: string) =>
    new Promise<string>((resolve, reject) => {
      const call = request(url, { agent }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve(text));
      });
      call.on("error", reject);
      call.end();
    });
  const start = async () => {
    pebble = spawn("pebble", ["-config", config, "-dnsserver", `127.0.0.1:${dnsPort}`], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", ...options.environment },
    });
    let said = "";
    pebble.stdout?.on("data", (chunk) => {
      said = (said + chunk).slice(-2000);
    });
    const patience = Date.now() + 60_000;
    while (pebble.exitCode === null && Date.now() < patience) {
      try {
        await read(`https://localhost:${api}/dir`);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    throw new Error(`Pebble doesn't answer: ${said}`);
  };
  t.after(() => {
    pebble?.kill("SIGKILL");
    dnsServer.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  await start();
  return {
    directory: `https://localhost:${api}/dir`,
    caFile,
    issueForDirectory: async () => {
      const own = await authority.issue(["localhost"], {});
      return { certificate: own.certificate + authority.intermediate, key: own.key };
    },
    dns: `127.0.0.1:${dnsPort}`,
    dnsManagement: `127.0.0.1:${dnsManagement}`,
    httpPort,
    tlsPort,
    root: () => read(`https://localhost:${management}/roots/0`),
    tellDns: (path, body) =>
      new Promise((resolve, reject) => {
        const call = requestPlain({ port: dnsManagement, host: "127.0.0.1", path, method: "POST" }, (response) => {
          response.resume();
          response.on("end", () => resolve());
        });
        call.on("error", reject);
        call.end(JSON.stringify(body));
      }),
    kill: () => void pebble?.kill("SIGKILL"),
    start,
  };
}
