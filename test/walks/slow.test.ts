import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { createAuthority } from "../support/authority.ts";
import type { Crowd, Told } from "../support/crowd.ts";
import { helloFor } from "../support/hello.ts";
import { freePort } from "../support/ports.ts";
import { fetchFrom, readyPlace } from "../support/program.ts";

const size = 2_000;
const host = "status.example.com";

test("2,000 slow clients keep no visitor waiting for a minute, and each is let go within 15 seconds", {
  timeout: 150_000,
}, async (t) => {
  const [port, secure] = [await freePort(), await freePort()];
  const place = await readyPlace(t, port);
  const server = await place.serve(port, { CANDOR_HTTPS_LISTEN: `127.0.0.1:${secure}` });
  const { certificate, key, root } = await certify(host);
  const [chain, keyFile] = [join(place.folder, "chain.pem"), join(place.folder, "chain.key")];
  writeFileSync(chain, certificate);
  writeFileSync(keyFile, key);
  writeFileSync(join(place.folder, "root.pem"), root);
  for (const words of [
    ["host", "add", `https://${host}:${secure}`],
    ["cert", "import", "--chain", chain, "--key", keyFile, "--authority", join(place.folder, "root.pem")],
  ]) {
    const done = await place.run(words);
    assert.equal(done.code, 0, done.err);
  }
  const home = (await fetchFrom(server.origin, "/")).text;
  const large = /href="([^"]+\.css)"/.exec(home)?.[1] ?? "/";

  const crowd = gather(t, { size, plain: port, secure, host, large, hello: await helloFor(host) });
  const waits: number[] = [];
  let most = 0;
  const visit = async (isTls: boolean) => {
    const began = performance.now();
    assert.equal(isTls ? await askOverTls(secure, root) : (await fetchFrom(server.origin, "/")).status, 200);
    waits.push(performance.now() - began);
  };
  for (const until = performance.now() + 60_000; performance.now() < until; await setTimeout(75)) {
    await visit(false);
    await visit(true);
    most = Math.max(most, (await crowd.ask("tell")).open);
  }
  let told = await crowd.ask("over");
  for (; told.open > 0; told = await crowd.ask("tell")) {
    await visit(false);
    await setTimeout(25);
  }
  waits.sort((a, b) => a - b);
  const [p99, longestWait] = [waits[Math.floor(waits.length * 0.99)] as number, waits.at(-1) as number];
  const lives = Object.entries(told.longest).toSorted((a, b) => b[1] - a[1]);
  t.diagnostic(`${waits.length} visitors, p99 ${p99.toFixed(1)} ms, the longest ${longestWait.toFixed(1)} ms`);
  t.diagnostic(`${told.gone} slow clients, ${most} at once; kept at most (ms): ${JSON.stringify(lives)}`);
  assert.ok(most > 0.9 * size, `${most} at once`);
  assert.equal(lives.length, 13, "every kind was there");
  assert.ok(waits.length > 500 && p99 < 200, `${waits.length} visitors, p99 ${p99} ms`);
  for (const [kind, life] of lives) assert.ok(life < 15_000, `${kind}: ${life} ms`);
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.err);
});

async function certify(name: string) {
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue([name]);
  return { certificate: certificate + authority.intermediate, key, root: authority.root };
}

function gather(t: TestContext, crowd: Crowd) {
  const worker = new Worker(new URL("../support/crowd.ts", import.meta.url), { workerData: crowd });
  t.after(() => worker.terminate());
  return {
    ask: async (word: "tell" | "over"): Promise<Told> => {
      worker.postMessage(word);
      const [told] = await once(worker, "message");
      return told;
    },
  };
}

function askOverTls(port: number, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: `${host}:${port}` };
    const call = request({ host: "127.0.0.1", port, servername: host, ca, headers, agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    call.on("error", reject);
    call.end();
  });
}
