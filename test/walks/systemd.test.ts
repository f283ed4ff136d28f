import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { needs } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { fetchFrom, readyPlace } from "../support/program.ts";

const unit = (name: string) => join(import.meta.dirname, "../../docs/systemd", name);

test("systemd's own activator passes its sockets on, and the first visitor is answered", {
  skip: needs("systemd-socket-activate"),
}, async (t) => {
  const [port, secure] = [await freePort(), await freePort()];
  const place = await readyPlace(t, port);
  const program = [place.program, "serve", "--data", place.data, "--key-file", place.keyFile];
  const sockets = ["-l", `127.0.0.1:${port}`, "-l", `127.0.0.1:${secure}`];
  const activator = spawn("systemd-socket-activate", [...sockets, ...program, "--http", "fd:3", "--https", "fd:4"]);
  t.after(() => activator.kill("SIGKILL"));
  let log = "";
  activator.stderr.on("data", (chunk) => {
    log += chunk;
  });
  while (!log.includes("Listening on")) await new Promise((resolve) => setTimeout(resolve, 10));
  const answer = await fetchFrom(`http://127.0.0.1:${port}`, "/");
  assert.equal(answer.status, 200, log);
  const health = await place.run(["health"]);
  assert.equal(health.code, 0, health.err);
  const ended = new Promise((resolve) => activator.once("close", resolve));
  activator.kill("SIGTERM");
  assert.equal(await ended, 0, log);
});

test("systemd finds nothing wrong with the units, and little that the service could do to its machine", {
  skip: needs("systemd-analyze"),
}, () => {
  const verify = spawnSync("systemd-analyze", ["verify", unit("candor.socket")], { encoding: "utf8" });
  assert.doesNotMatch(verify.stderr, /candor\.\w+:\d+:/, "no line is unknown");
  // In tenths. What is left is what a server needs: the network, its own UNIX socket, and memory that V8 compiles into.
  const exposure = ["security", "--offline=true", "--threshold=16", unit("candor.service")];
  const { status, stdout, stderr } = spawnSync("systemd-analyze", exposure, { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});
