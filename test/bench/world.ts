/** A data folder of a given size, and programs pinned to cores: the server on core 0, whoever loads it on core 1. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { createComponent, createGroup } from "../../src/components/components.ts";
import { seal } from "../../src/crypto/fields.ts";
import { createKeyFile, createKeyring, openKeyring } from "../../src/crypto/keyring.ts";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { addHost, createPage } from "../../src/pages/pages.ts";
import { openHouse } from "../../src/server.ts";
import { createToken } from "../../src/team/tokens.ts";

export type World = { data: string; keyFile: string; pageId: string; token: string; componentId: string; port: number };

const day = 86_400_000;
const by = { kind: "system" as const };

export async function buildWorld(input: {
  components: number;
  incidents: number;
  subscribers: number;
  port: number;
}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "candor-bench-"));
  const data = join(folder, "data");
  const keyFile = join(folder, "key");
  mkdirSync(data, { mode: 0o700 });
  const now = systemClock.now();
  const kek = createKeyFile(keyFile);
  createKeyring(join(data, "keyring.json"), kek, now);
  const keys = openKeyring(join(data, "keyring.json"), kek);
  const house = openHouse({ data, keys, environment: {}, write: () => {} });
  const { db } = house;
  const started = now - 120 * day;
  const page = createPage(db, { name: "Bench", timeZone: "Etc/UTC", now: started, by });
  const pageId = page.id;
  addHost(db, { pageId, host: `http://127.0.0.1:${input.port}`, now: started, by });
  const ids: string[] = [];
  db.transaction(() => {
    const groups = Array.from(
      { length: 4 },
      (_, index) => createGroup(db, { pageId, name: `Group ${index + 1}`, now: started, by }).id,
    );
    for (let index = 0; index < input.components; index++) {
      const groupId = groups[index % groups.length] as string;
      ids.push(createComponent(db, { pageId, name: `Component ${index + 1}`, groupId, now: started, by }).id);
    }
    for (let index = 0; index < input.incidents; index++) {
      const at = now - Math.round(((index + 1) * 100 * day) / (input.incidents + 1));
      const part = ids[index % ids.length] as string;
      const telling = { notify: false, burstFactor: 5, by, pageId };
      const { incident } = openIncident(db, {
        ...telling,
        now: at,
        name: `Incident ${index}`,
        body: "Some requests fail. We look into it.",
        components: { [part]: "partial_outage" },
      });
      if (index >= 3)
        postUpdate(db, {
          ...telling,
          now: at + 1_800_000,
          incidentId: incident.id,
          status: "resolved",
          body: "It works again.",
          components: { [part]: "operational" },
        });
    }
  });
  const insert = db.$client.prepare(
    "INSERT INTO subscribers (id, page_id, channel, address, address_index, state, whole_page, source, consent, created_at, confirmed_at) VALUES (?, ?, 'email', ?, ?, 'active', 1, 'example', '', 0, 0)",
  );
  db.transaction(() => {
    for (let index = 0; index < input.subscribers; index++) {
      const id = `bench${String(index).padStart(7, "0")}`;
      const address = seal(keys, { column: "subscribers.address", row: id }, `reader${index}@example.com`);
      insert.run(id, pageId, address, Buffer.from(`index ${index}`));
    }
  });
  const { secret } = createToken(db, { name: "bench", role: "publisher", now, by });
  house.store.checkpoint();
  await house.close();
  return { data, keyFile, pageId, token: secret, componentId: ids[0] as string, port: input.port };
}

export type Running = { child: ChildProcess; stop(): Promise<void> };

/** Pins to core 0 and waits until it answers. @returns also the milliseconds from the start to the first answer */
export async function startPinned(
  command: string,
  args: string[],
  port: number,
  environment: Record<string, string> = {},
): Promise<Running & { firstAnswerMs: number }> {
  const began = performance.now();
  const child = spawn("taskset", ["-c", "0", command, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH ?? "", ...environment },
  });
  let words = "";
  child.stderr?.on("data", (chunk) => {
    words = `${words}${chunk}`.slice(-2000);
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${command} ended: ${words}`);
    if (await answers(port)) break;
    if (performance.now() - began > 20_000) throw new Error(`${command} doesn't answer: ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return {
    child,
    firstAnswerMs: performance.now() - began,
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

export const executable = join(import.meta.dirname, "../../dist/candor");

/**
 * As after a boot: the page cache of a file just built holds it in large pieces, of which the kernel maps more into a
 * process than it ever touches, and counts them as resident.
 */
export function forgetCached(path: string): void {
  execFileSync("sync", [path]);
  execFileSync("dd", [`if=${path}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
}

export function serve(world: World, environment: Record<string, string> = {}, program = executable) {
  const args = ["serve", "--data", world.data, "--key-file", world.keyFile, "--listen", `127.0.0.1:${world.port}`];
  return startPinned(program, args, world.port, environment);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get({ port, host: "127.0.0.1", path: "/", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    call.on("error", () => resolve(false));
  });
}

export type Load = { perSecond: number; p99Ms: number };

/** A number is a port of this machine. */
export function load(where: number | string, seconds: number, headers: string[] = []): Load {
  const url = typeof where === "number" ? `http://127.0.0.1:${where}/` : where;
  const options = headers.flatMap((header) => ["-H", header]);
  const { perSecond, p99Ms, socketErrors } = wrk(url, seconds, options);
  // Requests that come to nothing take no time: the figure would be a good one.
  if (socketErrors > 0) throw new Error(`${socketErrors} connections to ${url} broke while it was measured.`);
  return { perSecond, p99Ms };
}

/** wrk on core 1: one thread, 32 connections. */
export function wrk(
  url: string,
  seconds: number,
  options: string[],
  environment: Record<string, string> = {},
): Load & { socketErrors: number; out: string } {
  const args = ["-c", "1", "wrk", "-t1", "-c32", `-d${seconds}s`, "--latency", ...options, url];
  const out = execFileSync("taskset", args, { encoding: "utf8", env: { ...process.env, ...environment } });
  const p99 = /99%\s+([\d.]+)(us|ms|s)/.exec(out);
  const unit = { us: 0.001, ms: 1, s: 1000 }[p99?.[2] ?? "ms"] ?? 1;
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(out) ?? [];
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]),
    p99Ms: Number(p99?.[1]) * unit,
    socketErrors: errors.slice(1).reduce((sum, count) => sum + Number(count), 0),
    out,
  };
}

export function residentMb(child: ChildProcess): number {
  const pid = child.pid as number;
  return Number(/VmRSS:\s+(\d+)/.exec(execFileSync("cat", [`/proc/${pid}/status`], { encoding: "utf8" }))?.[1]) / 1024;
}

export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
