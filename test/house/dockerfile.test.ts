/**
 * What the image promises, read from the Dockerfile. Nothing is built: there is no container engine where these tests
 * run, so they hold the file to its properties and say nothing about whether a registry still has its bases.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..");

type Step = { instruction: string; rest: string };

const stages = readStages(readFileSync(join(root, "Dockerfile"), "utf8"));
const final = stages.at(-1) ?? [];

function readStages(text: string): Step[][] {
  const lines = text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const found: Step[][] = [];
  for (const line of lines) {
    const [instruction = "", ...words] = line.trim().split(/\s+/);
    if (instruction === "FROM") found.push([]);
    found.at(-1)?.push({ instruction, rest: words.join(" ") });
  }
  return found;
}

function only(instruction: string): string {
  const steps = final.filter((step) => step.instruction === instruction);
  assert.equal(steps.length, 1, `exactly one ${instruction}`);
  return steps[0]?.rest ?? "";
}

test("the image is built in one stage and shipped in another without Node or npm", () => {
  assert.equal(stages.length, 2);
  const runs = stages[0]?.filter((step) => step.instruction === "RUN").map((step) => step.rest) ?? [];
  assert.ok(runs.some((run) => run === "npm ci"));
  assert.ok(runs.some((run) => run.startsWith("npm run build")));
  assert.match(only("FROM"), /^debian:\d+-slim$/);
  assert.ok(final.some((step) => step.instruction === "COPY" && step.rest.includes("/build/dist/candor")));
});

test("the image brings the libraries that the executable needs", () => {
  const packages = final.find((step) => step.instruction === "RUN")?.rest ?? "";
  for (const name of ["ca-certificates", "libatomic1", "libstdc++6"]) assert.ok(packages.includes(name), name);
});

test("the container runs as a numbered user who isn't root", () => {
  assert.match(only("USER"), /^[1-9]\d{3,}:[1-9]\d{3,}$/);
  const last = final.findLastIndex((step) => ["RUN", "COPY"].includes(step.instruction));
  assert.ok(final.findIndex((step) => step.instruction === "USER") > last, "nothing is installed as that user");
});

test("all that must be kept is in one volume, and the key isn't in it", () => {
  const volume = only("VOLUME");
  const environment = Object.fromEntries(
    only("ENV")
      .split(/\s+/)
      .map((pair) => pair.split("=")),
  );
  assert.equal(environment.CANDOR_DATA, volume);
  assert.ok(environment.CANDOR_KEY_FILE?.startsWith("/"));
  assert.ok(!environment.CANDOR_KEY_FILE?.startsWith(`${volume}/`));
  assert.equal(environment.CANDOR_LISTEN, "0.0.0.0:8080");
  assert.equal(only("EXPOSE"), "8080");
});

test("the executable tells its own health, with no shell between", () => {
  const check = only("HEALTHCHECK");
  const command = JSON.parse(check.slice(check.indexOf("CMD ") + 4));
  const entry = JSON.parse(only("ENTRYPOINT"));
  assert.deepEqual(command, [...entry, "health"]);
  assert.deepEqual(JSON.parse(only("CMD")), ["serve"]);
});

test("keys and databases don't reach the builder", () => {
  assert.ok(existsSync(join(root, ".dockerignore")));
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  for (const name of [".git", "node_modules", "dist", "data", "*.key"]) assert.ok(ignored.includes(name), name);
});
