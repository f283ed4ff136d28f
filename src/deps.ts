/** What doors receive. Built once in server.ts (and in test/support/house.ts), in boot order. */
import type { Announcer } from "./announcements/announcer.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { Keys } from "./crypto/keyring.ts";
import type { Db, Store } from "./db.ts";
import type { Log } from "./log.ts";
import type { Mailer } from "./mail/mailer.ts";
import type { Pressure } from "./pressure.ts";
import type { Render } from "./render.ts";
import type { Press } from "./statuspage/press.ts";
import type { Limits } from "./team/limits.ts";
import type { Keeper } from "./tls/keeper.ts";
import type { CertificateShelf } from "./tls/shelf.ts";
import type { Transport } from "./tls/transport.ts";

export type Deps = {
  db: Db;
  store: Store;
  keys: Keys;
  config: Config;
  clock: Clock;
  log: Log;
  render: Render;
  press: Press;
  mailer: Mailer;
  announcer: Announcer;
  limits: Limits;
  pressure: Pressure;
  certificates: CertificateShelf;
  keeper: Keeper;
  transport: Transport;
  /** The data folder, for snapshots; undefined in memory. */
  dataFolder: string | undefined;
};
