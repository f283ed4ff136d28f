/** The operator's program that changes the DNS: what it says is told, and one that hangs is ended with all that it started. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createDnsHook } from "../../src/tls/hook.ts";

function write(t: TestContext, script: string) {
  const folder = mkdtempSync(join(tmpdir(), "candor-hook-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "hook");
  writeFileSync(program, `#!/bin/sh\ncd "${folder}"\n${script}\n`, { mode: 0o755 });
  return { program, file: (name: string) => join(folder, name) };
}

const isAlive = (pid: number) => {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

test("a program that changes the DNS is told what to do, and its last words when it can't", async (t) => {
  const { program, file } = write(
    t,
    'echo "$1 $2 $3" > given; [ "$1" = present ] && exit 0; echo first >&2; echo last >&2; exit 3',
  );
  const hook = createDnsHook(program);
  await hook("present", "_acme-challenge.status.example.com", "-value");
  assert.equal(readFileSync(file("given"), "utf8"), "present _acme-challenge.status.example.com -value\n");
  await assert.rejects(hook("cleanup", "r", "v"), { message: `${program} cleanup ended with an error: last` });
  await assert.rejects(createDnsHook("/nowhere")("present", "r", "v"), /ENOENT/);
  const silent = createDnsHook(write(t, "exit 4").program);
  await assert.rejects(silent("present", "r", "v"), /ended with an error: it ended with code 4\.$/);
});

test("what a program leaves running in the background keeps nobody waiting", async (t) => {
  const { program, file } = write(t, "sleep 60 & echo $! > child; exit 0");
  const pipes = () => process.getActiveResourcesInfo().filter((kind) => kind === "PipeWrap").length;
  const before = pipes();
  await createDnsHook(program)("present", "r", "v");
  for (let tries = 0; tries < 100 && pipes() > before; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(pipes(), before, "nor is anything of it kept open");
  process.kill(Number(readFileSync(file("child"), "utf8")));
});

test("a program that hangs and hears no signal is ended, and what it started with it", {
  skip: existsSync("/proc/self/status") ? false : "This needs /proc.",
}, async (t) => {
  const { program, file } = write(t, "trap '' TERM; sleep 60 & echo $! > child; wait; wait; sleep 60");
  await assert.rejects(createDnsHook(program, 2_000)("present", "r", "v"), /didn't return within 2 seconds\.$/);
  const child = Number(readFileSync(file("child"), "utf8"));
  for (let tries = 0; tries < 100 && isAlive(child); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isAlive(child), false);
});

test("a program that can't be started for want of descriptors is told of, and ends nothing", {
  skip: process.platform === "win32" ? "Descriptors are counted otherwise there." : false,
}, () => {
  const hook = join(import.meta.dirname, "../../src/tls/hook.ts");
  const script = `
    import { openSync } from "node:fs";
    import { createDnsHook } from ${JSON.stringify(hook)};
    const held = [];
    try { for (;;) held.push(openSync("/dev/null")); } catch {}
    await createDnsHook("/bin/true")("present", "r", "v").catch((error) => console.log(error.message));
    setTimeout(() => console.log("alive"), 50);`;
  const given = ["-c", 'ulimit -n 256; exec "$0" --input-type=module -e "$1"', process.execPath, script];
  const { stdout, stderr } = spawnSync("/bin/sh", given, { encoding: "utf8" });
  assert.match(stdout, /present ended with an error: .*EMFILE\nalive\n$/, stderr);
});
