/**
 * `npm run bench`: every figure as a ratio in one run, with its bar. Needs dist/candor (npm run build), and Debian's wrk,
 * postfix (smtp-sink, smtp-source), taskset and chrt. Times on a shared machine vary; ratios are medians of alternating rounds.
 */
import { existsSync } from "node:fs";
import { findProgram } from "../support/need.ts";
import { measureMail } from "./mail-throughput.ts";
import { measurePage } from "./page-speed.ts";
import { measurePublishing } from "./publish-speed.ts";
import { measureSecure } from "./secure-speed.ts";
import { measureStart } from "./start-speed.ts";
import { buildWorld, executable, forgetCached } from "./world.ts";

let failed = 0;
function say(what: string, value: number, bar: { least?: number; most?: number }, unit = "", detail = ""): void {
  const met = (bar.least === undefined || value >= bar.least) && (bar.most === undefined || value <= bar.most);
  if (!met) failed += 1;
  const wanted = bar.least === undefined ? `at most ${bar.most}${unit}` : `at least ${bar.least}${unit}`;
  console.log(
    `${met ? "met    " : "NOT MET"}  ${what}: ${value.toFixed(2)}${unit} (bar: ${wanted})${detail ? `  ${detail}` : ""}`,
  );
}

const missing = ["wrk", "smtp-sink", "smtp-source", "taskset", "chrt"].filter((program) => !findProgram(program));
if (missing.length > 0)
  throw new Error(`The benchmarks need ${missing.join(", ")}: apt-get install wrk postfix util-linux`);
if (!existsSync(executable)) throw new Error("Build the executable first: npm run build");

const small = await buildWorld({ components: 20, incidents: 30, subscribers: 0, port: 18_100 });
const large = await buildWorld({ components: 200, incidents: 1000, subscribers: 0, port: 18_110 });
forgetCached(executable);
const start = await measureStart(small);
const page = await measurePage(small);
const rates = `${Math.round(page.candor)} of ${Math.round(page.bare)} requests/s`;
say("public page, part of a bare node:http server", page.page, { least: 0.85 }, "", rates);
say("304, part of a bare server", page.notModified, { least: 0.9 });
say("p99, times a bare server's", page.p99, { most: 2 }, "×");
// A larger page has more bytes, for a bare server too: what is compared is how near each comes to the bare server's rate.
const big = await measurePage(large);
const bytes = `${Math.round(big.candor)} of ${Math.round(big.bare)} requests/s, ${big.bytes} bytes instead of ${page.bytes}`;
say("the same with 200 components and 1,000 incidents", big.page / page.page, { least: 0.95 }, "", bytes);
const bareStart = `a bare server: ${start.bareMs.toFixed(0)} ms`;
say("executable, start to first answer", start.candorMs, { most: 200 }, " ms", bareStart);
say("resident memory, idle", page.idleMb, { most: 110 }, " MB");
say("resident memory, at load", page.loadedMb, { most: 160 }, " MB");

const secure = await measureSecure(small);
const secureRates = `${Math.round(secure.candor)} of ${Math.round(secure.bare)} requests/s`;
say("the page over TLS, part of a bare node:https server", secure.page, { least: 0.85 }, "", secureRates);
const handshakeRates = `${Math.round(secure.candorHandshakes)} of ${Math.round(secure.bareHandshakes)}/s`;
say("new handshakes, part of a bare node:https server", secure.handshakes, { least: 0.8 }, "", handshakeRates);
const { attack } = secure;
const attackRate = `${Math.round(attack.perSecond)} requests/s`;
say("p99 over TLS while one request in ten is hostile", attack.p99Ms, { most: 50 }, " ms", attackRate);
say("answers that are our fault meanwhile", attack.serverErrors, { most: 0 });
say("connections that broke meanwhile", attack.socketErrors, { most: 0 });
say("delay of the event loop meanwhile, p99", attack.lateP99Ms, { most: 20 }, " ms");
say("longest pause of the event loop meanwhile", attack.worstPauseMs, { most: 100 }, " ms");

const crowd = await buildWorld({ components: 20, incidents: 30, subscribers: 100_000, port: 18_120 });
const publishing = await measurePublishing(crowd);
say("publishing to 100,000, the publisher's wait", publishing.answerMs, { most: 300 }, " ms");
say("longest pause of the event loop meanwhile", publishing.worstPauseMs, { most: 50 }, " ms");
say(
  "page p99 meanwhile, times idle",
  publishing.p99Ratio,
  { most: 3 },
  "×",
  `${publishing.busyP99Ms.toFixed(1)} of ${publishing.idleP99Ms.toFixed(1)} ms`,
);

const mail = await measureMail();
const { ratio = 0, candor = 0, source = 0 } = mail;
say(
  "letters to smtp-sink, part of smtp-source",
  ratio,
  { least: 0.25 },
  "",
  `${Math.round(candor)} of ${Math.round(source)} letters/s`,
);
process.exitCode = failed === 0 ? 0 : 1;
