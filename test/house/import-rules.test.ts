/** Each import rule of the house, shown to bite: Biome runs with our settings on a small house that breaks it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

const root = join(import.meta.dirname, "..", "..");

/** What is written, where it is forbidden, where it is allowed, and how Biome's finding begins. */
const rules: { says: string; line: string; forbidden: string[]; allowed: string[]; finding: string }[] = [
  {
    says: "nothing in src imports the command line",
    line: 'import { x } from "../../cli/x.ts";',
    forbidden: ["src/team/guard.ts", "src/pages/public.ts"],
    allowed: ["cli/restore.ts", "test/pages/a.test.ts"],
    finding: "Nothing in src/",
  },
  {
    says: "nothing in src imports a test",
    line: 'import { x } from "../test/support/house.ts";',
    forbidden: ["src/app.ts", "src/server.ts"],
    allowed: ["cli/x.ts"],
    finding: "Nothing in src/",
  },
  {
    says: "a visitors' door is imported by app.ts alone",
    line: 'import { x } from "./statuspage/public.ts";',
    forbidden: ["src/server.ts", "src/jobs.ts"],
    allowed: ["src/app.ts", "test/x.test.ts"],
    finding: "Doors are imported",
  },
  {
    says: "a door isn't imported by its neighbours",
    line: 'import { x } from "./admin.ts";',
    forbidden: ["src/team/public.ts", "src/team/members.ts"],
    allowed: [],
    finding: "Doors are imported",
  },
  {
    says: "an API door isn't imported by another room",
    line: 'import { x } from "../incidents/api.ts";',
    forbidden: ["src/components/api.ts", "src/components/components.ts"],
    allowed: [],
    finding: "Doors are imported",
  },
  {
    says: "the mail and the audit know no other room",
    line: 'import { x } from "../subscribers/subscribers.ts";',
    forbidden: ["src/mail/mailer.ts", "src/audit/audit.ts", "src/backup/segments.ts", "src/tls/acme.ts"],
    allowed: ["src/announcements/announcements.ts", "src/audit/admin.ts"],
    finding: "mail, audit, tls",
  },
  {
    says: "they may use the keys",
    line: 'import { x } from "../crypto/fields.ts";',
    forbidden: [],
    allowed: ["src/mail/mailer.ts", "src/audit/audit.ts"],
    finding: "mail, audit, tls",
  },
  {
    says: "better-sqlite3 belongs to the database",
    line: 'import x from "better-sqlite3";',
    forbidden: ["src/pages/pages.ts", "src/server.ts"],
    allowed: ["src/db.ts", "src/backup/snapshots.ts"],
    finding: "better-sqlite3 belongs",
  },
  {
    says: "handlebars belongs to the renderer",
    line: 'import x from "handlebars";',
    forbidden: ["src/pages/pages.ts", "src/mail/compose.ts", "src/team/admin.ts"],
    allowed: ["src/render.ts", "build.ts"],
    finding: "handlebars belongs",
  },
  {
    says: "nodemailer belongs to the mail",
    line: 'import x from "nodemailer/lib/mail-composer/index.js";',
    forbidden: ["src/pages/pages.ts", "src/mail/mailer.ts"],
    allowed: ["src/mail/smtp.ts", "src/mail/compose.ts"],
    finding: "nodemailer belongs",
  },
  {
    says: "hono belongs to the doors",
    line: 'import type { x } from "hono";',
    forbidden: ["src/incidents/incidents.ts", "src/team/members.ts", "src/jobs.ts"],
    allowed: [
      "src/app.ts",
      "src/server.ts",
      "src/http.ts",
      "src/team/guard.ts",
      "src/incidents/admin.ts",
      "src/pages/api.ts",
    ],
    finding: "hono belongs",
  },
  {
    says: "so does hono's server",
    line: 'import { x } from "@hono/node-server";',
    forbidden: ["src/incidents/incidents.ts"],
    allowed: ["src/server.ts"],
    finding: "hono belongs",
  },
  {
    says: "lucia belongs to the team",
    line: 'import { x } from "lucia";',
    forbidden: ["src/pages/pages.ts", "src/app.ts"],
    allowed: ["src/team/sessions.ts"],
    finding: "lucia and oslo belong",
  },
  {
    says: "oslo belongs to the team",
    line: 'export const x = import("oslo/otp");',
    forbidden: ["src/pages/pages.ts"],
    allowed: ["src/team/factors.ts"],
    finding: "lucia and oslo belong",
  },
  {
    says: "markdown belongs to the page",
    line: 'export { x } from "markdown-it";',
    forbidden: ["src/incidents/incidents.ts"],
    allowed: ["src/statuspage/markdown.ts"],
    finding: "markdown-it belongs",
  },
  {
    says: "commander belongs to the command line",
    line: 'import { x } from "commander";',
    forbidden: ["src/server.ts"],
    allowed: ["cli/candor.ts"],
    finding: "commander belongs",
  },
  {
    says: "the environment is read by the settings",
    line: "export const x = process.env.CANDOR_DATA;",
    forbidden: ["src/server.ts", "cli/serve.ts"],
    allowed: ["src/config.ts", "test/support/need.ts"],
    finding: "Don't use process.env",
  },
  {
    says: "the environment isn't imported either",
    line: 'import { env as x } from "node:process";',
    forbidden: ["src/server.ts"],
    allowed: ["src/config.ts"],
    finding: "The environment belongs",
  },
  {
    says: "the time of day is read by the clock",
    line: "export const x = Date.now();",
    forbidden: ["src/jobs.ts", "src/pages/pages.ts"],
    allowed: ["src/clock.ts", "test/x.test.ts"],
    finding: "Time comes from the clock",
  },
  {
    says: "a date without a time reads the clock too",
    line: "export const x = [new Date(), new Date(7)];",
    forbidden: ["src/jobs.ts"],
    allowed: [],
    finding: "Time comes from the clock",
  },
  {
    says: "a date with a time doesn't",
    line: "export const x = new Date(7);",
    forbidden: [],
    allowed: ["src/jobs.ts"],
    finding: "Time comes from the clock",
  },
  {
    says: "chance isn't Math.random",
    line: "export const x = Math.random();",
    forbidden: ["src/ids.ts"],
    allowed: [],
    finding: "Time comes from the clock",
  },
  {
    says: "the program doesn't ask where it lies",
    line: "export const x = import.meta.dirname;",
    forbidden: ["src/render.ts"],
    allowed: ["src/embedded.ts", "test/x.test.ts"],
    finding: "The executable has no folder",
  },
  {
    says: "SQLite's own copies aren't made",
    line: "export const x = (db: any) => [db.serialize(), db.backup('copy.db')];",
    forbidden: ["src/db.ts", "src/backup/snapshots.ts"],
    allowed: ["test/x.test.ts"],
    finding: "SQLite's own copies",
  },
  {
    says: "no other database is attached",
    line: "export const x = \"ATTACH DATABASE 'other.db' AS other\";",
    forbidden: ["src/db.ts", "src/backup/snapshots.ts"],
    allowed: ["test/x.test.ts"],
    finding: "No ATTACH",
  },
  {
    says: "not by a name that holds a value either",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a file.
    line: "export const x = (file: string) => `attach '${file}' AS other`;",
    forbidden: ["src/db.ts"],
    allowed: [],
    finding: "No ATTACH",
  },
  {
    says: "no database has a URI for a name",
    line: 'export const x = "file:candor.db?hexkey=00";',
    forbidden: ["src/db.ts"],
    allowed: [],
    finding: "No ATTACH",
  },
  {
    says: "exports have names",
    line: "export default 1;",
    forbidden: ["src/pages/pages.ts", "cli/serve.ts"],
    allowed: ["drizzle.config.ts"],
    finding: "Avoid default exports",
  },
];

const houses: string[] = [];
after(() => {
  for (const house of houses) rmSync(house, { recursive: true, force: true });
});

/** Paths of the files in which Biome reports a finding that begins with `finding`. */
function findings(files: Record<string, string>, finding: string): string[] {
  const house = mkdtempSync(join(tmpdir(), "candor-house-"));
  houses.push(house);
  for (const file of ["biome.json", ".gitignore", "test/house/rules.grit"]) cpSync(join(root, file), join(house, file));
  for (const [file, source] of Object.entries(files)) {
    mkdirSync(dirname(join(house, file)), { recursive: true });
    writeFileSync(join(house, file), `${source}\n`);
  }
  const biome = join(root, "node_modules", ".bin", "biome");
  const run = spawnSync(biome, ["lint", "--reporter=json", "--max-diagnostics=none"], { cwd: house, encoding: "utf8" });
  assert.match(run.stdout, /^\{/, run.stderr);
  const report: { diagnostics: { message: string; location: { path: string } }[] } = JSON.parse(run.stdout);
  const found = report.diagnostics.filter((each) => each.message.startsWith(finding));
  return [...new Set(found.map((each) => each.location.path))].toSorted();
}

for (const { says, line, forbidden, allowed, finding } of rules) {
  test(says, () => {
    const files = Object.fromEntries([...forbidden, ...allowed].map((file) => [file, line]));
    assert.deepEqual(findings(files, finding), forbidden.toSorted());
  });
}

test("modules don't import each other in a circle", () => {
  const files = {
    "src/pages/pages.ts": 'import { b } from "../team/members.ts";\nexport const a = () => b;',
    "src/team/members.ts": 'import { a } from "../pages/pages.ts";\nexport const b = () => a;',
    "src/team/kinds.ts": 'import type { a } from "../incidents/incidents.ts";\nexport type B = typeof a;',
    "src/incidents/incidents.ts": 'import type { B } from "../team/kinds.ts";\nexport const a: B | 1 = 1;',
  };
  assert.deepEqual(findings(files, "This import is part of a cycle"), ["src/pages/pages.ts", "src/team/members.ts"]);
});
