/** The public page against a bare server that answers the same bytes, alternating in one run. */
import { writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { type Load, load, median, residentMb, serve, startPinned, type World } from "./world.ts";

const rounds = 5;
const seconds = 4;

export type PageSpeed = {
  page: number;
  notModified: number;
  p99: number;
  candor: number;
  bare: number;
  loadedMb: number;
  idleMb: number;
  /** Of the pressed page. */
  bytes: number;
};

export async function measurePage(world: World): Promise<PageSpeed> {
  const server = await serve(world);
  const idleMb = await settled(() => residentMb(server.child));
  const { headers, body } = await fetchPage(world.port);
  const bodyFile = join(world.data, "..", "body");
  const headersFile = join(world.data, "..", "headers.json");
  const copied = Object.entries(headers).filter(([name]) => !["date", "connection", "keep-alive"].includes(name));
  writeFileSync(bodyFile, body);
  writeFileSync(headersFile, JSON.stringify(copied.flat()));
  const barePort = world.port + 1;
  const bare = await startPinned(
    process.execPath,
    [join(import.meta.dirname, "bare.mjs"), String(barePort), bodyFile, headersFile],
    barePort,
  );
  const gzip = "accept-encoding: gzip";
  const tag = `if-none-match: ${headers.etag}`;
  const ours: Load[] = [];
  const theirs: Load[] = [];
  const ours304: Load[] = [];
  const theirs304: Load[] = [];
  // The stopped one costs nothing while the other is measured, so that both have core 0 for themselves.
  const alone = (which: "ours" | "theirs") => {
    server.child.kill(which === "ours" ? "SIGCONT" : "SIGSTOP");
    bare.child.kill(which === "theirs" ? "SIGCONT" : "SIGSTOP");
  };
  for (let round = -1; round < rounds; round++) {
    const keep = round >= 0;
    alone("ours");
    const a = load(world.port, seconds, [gzip]);
    const b = load(world.port, seconds, [gzip, tag]);
    alone("theirs");
    const c = load(barePort, seconds, [gzip]);
    const d = load(barePort, seconds, [gzip, tag]);
    if (!keep) continue;
    ours.push(a);
    ours304.push(b);
    theirs.push(c);
    theirs304.push(d);
  }
  alone("ours");
  const loadedMb = residentMb(server.child);
  bare.child.kill("SIGCONT");
  await Promise.all([server.stop(), bare.stop()]);
  const rate = (list: Load[]) => median(list.map((one) => one.perSecond));
  return {
    candor: rate(ours),
    bare: rate(theirs),
    page: median(ours.map((one, index) => one.perSecond / (theirs[index]?.perSecond ?? 1))),
    notModified: median(ours304.map((one, index) => one.perSecond / (theirs304[index]?.perSecond ?? 1))),
    p99: median(ours.map((one, index) => one.p99Ms / (theirs[index]?.p99Ms ?? 1))),
    loadedMb,
    bytes: body.length,
    idleMb,
  };
}

function fetchPage(port: number): Promise<{ headers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path: "/", headers: { "accept-encoding": "gzip" } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    }).on("error", reject);
  });
}

async function settled(read: () => number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 3000));
  return read();
}
