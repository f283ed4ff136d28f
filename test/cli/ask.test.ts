/** Questions need a terminal; `script` gives one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { needs } from "../support/need.ts";
import { foundedPlace } from "./program.ts";

const program = join(import.meta.dirname, "..", "..", "cli", "candor.ts");
const terminal = "script";
const skip = needs(terminal);

const keys = { "Ctrl-C": "\x03", "Ctrl-D": "\x04" };

/** Types each answer once the terminal shows the words before it. */
function converse(
  folder: string,
  words: string[],
  answers: [after: string, answer: string][],
): Promise<{ code: number | null; shown: string }> {
  const quoted = [process.execPath, program, ...words].map((word) => `'${word}'`).join(" ");
  const child = spawn(terminal, ["-qec", quoted, "/dev/null"], {
    cwd: folder,
    env: { PATH: process.env.PATH, TERM: "dumb", TZ: "UTC" },
  });
  let shown = "";
  let from = 0;
  const look = (text: string) => {
    shown += text;
    const [after, answer] = answers[0] ?? [];
    const at = after === undefined ? -1 : shown.indexOf(after, from);
    if (at < 0) return;
    from = at + (after as string).length;
    answers.shift();
    child.stdin.write(Object.values(keys).includes(answer as string) ? (answer as string) : `${answer}\n`);
  };
  child.stdout.setEncoding("utf8").on("data", look);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, shown })));
}

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "candor-ask-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("init asks a few things, and again with the reason; for an https host, who agrees to the authority's terms", {
  skip,
}, async (t) => {
  const { code, shown } = await converse(
    makeFolder(t),
    ["init"],
    [
      ["Host name of the page", "not a host"],
      ["Give a host name like", "status.acme.com"],
      ["Name of the page [Acme]", ""],
      ["Your e-mail address [admin@acme.com]", "olive"],
      ["Give an e-mail address", "olive@acme.com"],
      ["Mail server", ""],
      ["Where the key shall lie", "data/key"],
      ["must lie outside the data folder", "own.key"],
      ["Its terms: https://letsencrypt.org/repository/", "nobody"],
      ["Give an e-mail address", ""],
    ],
  );
  assert.equal(code, 0, shown);
  assert.match(shown, /Acme, https:\/\/status\.acme\.com/);
  assert.match(shown, /olive@acme\.com/);
  assert.match(shown, /own\.key/);
  assert.match(shown, /Certificates +Let's Encrypt, by olive@acme\.com/);
  assert.match(shown, /candor serve .*--http '\[::\]:80' --https '\[::\]:443'/);
});

for (const [name, key] of Object.entries(keys)) {
  test(`${name} at a question ends quietly and changes nothing`, { skip }, async (t) => {
    const folder = makeFolder(t);
    const atOnce = await converse(folder, ["init"], [["Host name of the page", key]]);
    const later = await converse(
      folder,
      ["init"],
      [
        ["Host name of the page", "status.acme.com"],
        ["Name of the page [Acme]", key],
      ],
    );
    for (const { code, shown } of [atOnce, later]) {
      assert.equal(code, 1, shown);
      assert.match(shown, /\r?\nNothing was changed\.\r?\n$/);
      assert.doesNotMatch(shown, /bug/);
    }
    assert.deepEqual(readdirSync(folder), []);
  });
}

test("before people are told on a terminal, a person says yes", { skip }, async (t) => {
  const place = await foundedPlace(t);
  await place.run(["component", "create", "API"]);
  await place.run(["subscriber", "add", "ada@example.com", "--confirmed"]);
  const open = [
    "incident",
    "open",
    "--title",
    "It fails",
    "--component",
    "api=major_outage",
    "--body",
    "Next word soon.",
  ];
  const no = await converse(place.folder, open, [["Tell 1 person? [y/N]", "n"]]);
  assert.equal(no.code, 0);
  assert.match(no.shown, /Nothing was changed\./);
  assert.equal((await place.run(["incident", "list", "--json"])).stdout.trim(), "[]");
  const yes = await converse(place.folder, open, [["Tell 1 person? [y/N]", "y"]]);
  assert.match(yes.shown, /Opened: http/);
  const beforehand = await converse(place.folder, [...open, "--yes"], []);
  assert.doesNotMatch(beforehand.shown, /\[y\/N\]/);
});
