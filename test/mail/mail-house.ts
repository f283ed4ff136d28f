import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { eq } from "drizzle-orm";
import type { Clock } from "../../src/clock.ts";
import { type Config, openConfig } from "../../src/config.ts";
import { createKeyring, type Keys, openKeyring } from "../../src/crypto/keyring.ts";
import { type Db, openStore } from "../../src/db.ts";
import { createLog } from "../../src/log.ts";
import { composeLetter, leaveToken, manageToken } from "../../src/mail/compose.ts";
import { type Bounce, createMailer, type LetterSource, type Mailer } from "../../src/mail/mailer.ts";
import { deliveries, keptLetters, pages, subscribers } from "../../src/schema.ts";

export const start = Date.UTC(2026, 4, 1, 12);
const folder = mkdtempSync(join(tmpdir(), "candor-mail-"));
const kek = Buffer.alloc(32, 7);
createKeyring(join(folder, "keyring.json"), kek, start);
const keys = openKeyring(join(folder, "keyring.json"), kek);

export type MailHouse = {
  db: Db;
  keys: Keys;
  config: Config;
  clock: Clock & { pass(ms: number): void };
  lines: string[];
  bounces: Bounce[];
  set(name: string, value: string): void;
  queue(...addresses: string[]): number[];
  open(letters?: LetterSource): Mailer;
  delivery(id: number): typeof deliveries.$inferSelect;
  stateOf(ids: number[]): string[];
  letters: LetterSource;
  addressOf(seq: number | undefined): string;
  keptCount(): number;
};

/** A store in memory with one page, a clock that stands still, and a letter source that knows its subscribers. */
export function openMailHouse(t: TestContext): MailHouse {
  let now = start;
  const pass = (ms: number) => {
    now += ms;
  };
  const clock = { now: () => now, pass };
  const store = openStore({ where: undefined, keys, clock });
  const { db } = store;
  const config = openConfig({ db, keys, environment: {} });
  const lines: string[] = [];
  const bounces: Bounce[] = [];
  const addresses = new Map<number, string>();
  const mailers: Mailer[] = [];
  t.after(async () => {
    await Promise.all(mailers.map((mailer) => mailer.stop()));
    store.close();
  });
  db.insert(pages).values({ id: "page", name: "Page", timeZone: "UTC", createdAt: now, updatedAt: now }).run();

  const addressOf = (seq: number | undefined) => addresses.get(seq ?? 0) ?? "nobody@example.com";
  const form = composeLetter({
    from: { name: "Page", address: "status@example.com" },
    subject: "Something is broken",
    text: `Broken.\n${manageToken}\n${leaveToken}\n`,
    html: `<p>Broken.</p><a href="${manageToken}">manage</a><a href="${leaveToken}">leave</a>`,
    date: start,
  });
  const letters: LetterSource = ({ id, subscriberSeq }) => {
    const to = addressOf(subscriberSeq);
    const links = { manage: `https://status.example.com/m/${id}`, leave: `https://status.example.com/l/${id}` };
    return {
      outcome: "send",
      envelope: { from: "status@example.com", to },
      message: () => form.splice({ address: to, messageId: `<${id}@status.example.com>`, links }),
    };
  };
  return {
    db,
    keys,
    config,
    clock,
    lines,
    bounces,
    letters,
    addressOf,
    set: (name, value) => config.set(name, value, now),
    queue: (...given) =>
      given.map((address) => {
        const index = Buffer.from(`${address} ${Math.random()}`);
        const row = {
          id: index.toString("hex"),
          pageId: "page",
          channel: "email",
          addressIndex: index,
          state: "active",
        } as const;
        const consent = { wholePage: true, source: "form", consent: "yes", createdAt: now } as const;
        const { seq } = db
          .insert(subscribers)
          .values({ ...row, ...consent })
          .returning()
          .get();
        addresses.set(seq, address);
        const delivery = { pageId: "page", kind: "update", subscriberSeq: seq, state: "queued" } as const;
        return db
          .insert(deliveries)
          .values({ ...delivery, nextAttemptAt: now, createdAt: now })
          .returning()
          .get().id;
      }),
    open: (source = letters) => {
      const log = createLog({ clock, write: (line) => void lines.push(line) });
      const mailer = createMailer({
        db,
        keys,
        config,
        clock,
        log,
        letters: source,
        onBounce: (bounce) => void bounces.push(bounce),
      });
      mailers.push(mailer);
      return mailer;
    },
    delivery: (id) => {
      const row = db.select().from(deliveries).where(eq(deliveries.id, id)).get();
      if (!row) throw new Error(`There is no delivery ${id}.`);
      return row;
    },
    stateOf: (ids) => ids.map((id) => db.select().from(deliveries).where(eq(deliveries.id, id)).get()?.state ?? "gone"),
    keptCount: () => db.select().from(keptLetters).all().length,
  };
}
