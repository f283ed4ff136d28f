/**
 * Letters a second: Candor's queue, ledger and mailer against Postfix' own load generator, into Postfix' sink, in one
 * run on one machine. The sender has core 0, the sink core 1. Alone: node test/bench/mail-throughput.ts
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { promisify } from "node:util";
import { systemClock } from "../../src/clock.ts";
import { openConfig } from "../../src/config.ts";
import { linkMac, seal, unseal } from "../../src/crypto/fields.ts";
import { createKeyring, openKeyring } from "../../src/crypto/keyring.ts";
import { openStore } from "../../src/db.ts";
import { createLog } from "../../src/log.ts";
import { composeLetter, leaveToken, manageToken } from "../../src/mail/compose.ts";
import { createMailer, type LetterSource } from "../../src/mail/mailer.ts";

const port = 12525;
const connections = 20;
const letterBytes = 8192;
const letters = 20_000;
const sourceMessages = 60_000;
const bar = 0.25;
const programs = "/usr/sbin:/usr/bin:/sbin:/bin";

export type MailFigures = {
  skipped?: string;
  source?: number;
  candor?: number;
  ratio?: number;
  /** The longest that the event loop was held while Candor sent, in milliseconds. */
  heldMs?: number;
  bar: number;
  passed?: boolean;
};

/** Both rates in letters a second, and what Candor reaches of the load generator's. */
export async function measureMail(): Promise<MailFigures> {
  const missing = ["smtp-sink", "smtp-source", "taskset"].find((name) => !find(name));
  if (missing) return { skipped: `${missing} isn't installed (Debian: apt-get install postfix util-linux)`, bar };
  if (cpus().length < 2) return { skipped: "two cores are needed: one for the sender, one for the sink", bar };
  const sink = spawn(find("taskset") ?? "", [
    "-c",
    "1",
    find("smtp-sink") ?? "",
    ...asUser(),
    `127.0.0.1:${port}`,
    "1000",
  ]);
  try {
    await listening(sink);
    const source = await measureSource();
    const candor = await measureCandor();
    const ratio = candor.rate / source;
    return { source, candor: candor.rate, ratio, heldMs: candor.heldMs, bar, passed: ratio >= bar };
  } finally {
    sink.kill();
    await once(sink, "exit");
  }
}

async function measureSource(): Promise<number> {
  const target = [
    "-d",
    "-s",
    String(connections),
    "-l",
    String(letterBytes),
    "-f",
    "status@example.com",
    "-t",
    "ada@example.com",
  ];
  const start = performance.now();
  await promisify(execFile)(find("taskset") ?? "", [
    ...["-c", "0", find("smtp-source") ?? "", ...target],
    ...["-m", String(sourceMessages), `127.0.0.1:${port}`],
  ]);
  return sourceMessages / ((performance.now() - start) / 1000);
}

/** In a process of its own, so that it has the core to itself. */
async function measureCandor(): Promise<{ rate: number; heldMs: number }> {
  const given = [...process.execArgv, import.meta.filename, "--candor"];
  const { stdout } = await promisify(execFile)(find("taskset") ?? "", ["-c", "0", process.execPath, ...given]);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

async function runCandor(): Promise<{ rate: number; heldMs: number }> {
  const folder = mkdtempSync(join(tmpdir(), "candor-bench-mail-"));
  const kek = Buffer.alloc(32, 1);
  const now = Date.now();
  createKeyring(join(folder, "keyring.json"), kek, now);
  const keys = openKeyring(join(folder, "keyring.json"), kek);
  const store = openStore({ where: join(folder, "data"), keys, clock: systemClock });
  try {
    const { db } = store;
    const environment = {
      CANDOR_MAIL_SMTP_URL: `smtp://127.0.0.1:${port}`,
      CANDOR_MAIL_CONNECTIONS: String(connections),
    };
    const config = openConfig({ db, keys, environment });
    fill(db, keys, now);
    store.checkpoint();
    const log = createLog({ clock: systemClock, write: (line) => process.stderr.write(line) });
    const source = letterSource(db, keys, now);
    const mailer = createMailer({ db, keys, config, clock: systemClock, log, letters: source, onBounce: () => {} });
    const loop = monitorEventLoopDelay({ resolution: 1 });
    loop.enable();
    const start = performance.now();
    await mailer.idle();
    const seconds = (performance.now() - start) / 1000;
    loop.disable();
    await mailer.stop();
    const sent = db.$client.prepare("SELECT count(*) FROM deliveries WHERE state = 'sent'").pluck().get() as number;
    if (sent !== letters) throw new Error(`Only ${sent} of ${letters} letters are in the ledger as sent.`);
    return { rate: letters / seconds, heldMs: loop.max / 1e6 };
  } finally {
    store.close();
    rmSync(folder, { recursive: true });
  }
}

type Inside = Parameters<typeof createMailer>[0];

function fill(db: Inside["db"], keys: Inside["keys"], now: number): void {
  const subscriber = db.$client.prepare(
    `INSERT INTO subscribers (seq, id, page_id, channel, address, address_index, state, whole_page, source, consent, created_at)
     VALUES (?, ?, 'page', 'email', ?, ?, 'active', 1, 'form', 'yes', ?)`,
  );
  const delivery = db.$client.prepare(
    "INSERT INTO deliveries (page_id, kind, subscriber_seq, state, next_attempt_at, created_at) VALUES ('page', 'update', ?, 'queued', ?, ?)",
  );
  db.transaction(() => {
    db.$client
      .prepare("INSERT INTO pages (id, name, time_zone, created_at, updated_at) VALUES ('page', 'Page', 'UTC', ?, ?)")
      .run(now, now);
    for (let seq = 1; seq <= letters; seq++) {
      const address = seal(keys, { column: "subscribers.address", row: seq }, `subscriber-${seq}@example.com`);
      subscriber.run(seq, `s${seq}`, address, Buffer.from(`index ${seq}`), now);
      delivery.run(seq, now, now);
    }
  });
}

/** What a real source does for each letter: reads the subscriber, opens the address, writes the links. */
function letterSource(db: Inside["db"], keys: Inside["keys"], date: number): LetterSource {
  const paragraph =
    "Some requests to the API are answered slowly or not at all. We found the cause and are adding capacity now.";
  const lines = Array.from({ length: 30 }, (_, index) => `${index}. ${paragraph}`);
  const form = composeLetter({
    from: { name: "Example status", address: "status@example.com" },
    subject: "Investigating: slow answers from the API",
    text: `${lines.join("\n\n")}\n\nManage your subscription:\n${manageToken}\nLeave:\n${leaveToken}\n`,
    html: `<p>${lines.join("</p>\n<p>")}</p>\n<p><a href="${manageToken}">Manage</a> <a href="${leaveToken}">Leave</a></p>\n`,
    listId: "status.example.com",
    date,
  });
  const read = db.$client.prepare("SELECT state, address FROM subscribers WHERE seq = ?").raw();
  return ({ id, subscriberSeq = 0 }) => {
    const row = read.get(subscriberSeq) as [string, Buffer] | undefined;
    if (row?.[0] !== "active") return { outcome: "suppressed", reason: "left" };
    const address = unseal(keys, { column: "subscribers.address", row: subscriberSeq }, row[1]);
    const mac = linkMac(keys, "subscriber", String(subscriberSeq));
    const leave = `https://status.example.com/subscriptions/s${subscriberSeq}/${mac}/leave`;
    const message = () => {
      const manage = `https://status.example.com/subscriptions/s${subscriberSeq}/${mac}`;
      return form.splice({
        address,
        messageId: `<${id}.${mac}@status.example.com>`,
        links: { manage, leave },
        listUnsubscribe: leave,
      });
    };
    return { outcome: "send", envelope: { from: "status@example.com", to: address }, message };
  };
}

function find(name: string): string | undefined {
  const found = spawnSync("/bin/sh", ["-c", `command -v ${name}`], {
    env: { PATH: programs },
    encoding: "utf8",
  }).stdout.trim();
  return found === "" ? undefined : found;
}

/** smtp-sink won't stay root. */
function asUser(): string[] {
  return process.getuid?.() === 0 ? ["-u", "nobody"] : [];
}

async function listening(sink: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (sink.exitCode !== null) break;
    const socket = connect(port, "127.0.0.1");
    const answered = await Promise.race([
      once(socket, "data").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`smtp-sink doesn't listen on port ${port}.`);
}

if (import.meta.main) {
  if (process.argv.includes("--candor")) {
    console.log(JSON.stringify(await runCandor()));
  } else {
    const { skipped, source = 0, candor = 0, ratio = 0, heldMs = 0, passed } = await measureMail();
    if (skipped) console.log(`mail: skipped: ${skipped}`);
    else {
      const verdict = `${ratio.toFixed(2)} of smtp-source (bar ${bar}): ${passed ? "met" : "NOT met"}`;
      console.log(`mail: smtp-source ${Math.round(source)}/s, Candor ${Math.round(candor)}/s, ${verdict}`);
      console.log(`mail: the event loop was held ${heldMs.toFixed(1)} ms at most`);
    }
  }
}
