/** The real server on a folder of its own, with one page. What the house below house.ts is to rules, this is to sockets and files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../src/clock.ts";
import type { SettingName } from "../../src/config.ts";
import type { Deps } from "../../src/deps.ts";
import { foundHouse, prepareKeys } from "../../src/founding.ts";
import { openHouse, type RunningServer, startServer } from "../../src/server.ts";
import { importCertificate } from "../../src/tls/imported.ts";
import type { Authority, Issued } from "./authority.ts";

export type Started = RunningServer & {
  folder: string;
  data: string;
  keyFile: string;
  /** What it has logged. */
  lines: string[];
};

/** `stop` takes the folder away as well, and may be called again. */
export async function startFounded(input: {
  /** Of the page. */
  host: string;
  overrides?: Partial<Record<SettingName, string>>;
  clock?: Clock;
  /** Is there already when the keys are made. */
  folder?: string;
  /** What is done before the server starts. */
  first?: (founded: Deps) => unknown;
}): Promise<Started> {
  const folder = input.folder ?? mkdtempSync(join(tmpdir(), "candor-started-"));
  const place = { data: join(folder, "data"), keyFile: join(folder, "candor.key") };
  const clock = input.clock ?? { now: () => Date.now() };
  const now = clock.now();
  prepareKeys({ ...place, now });
  const founded = openHouse({ ...place, environment: {}, clock, mayBeNew: true, write: () => {} });
  const names = { pageName: "Acme", host: input.host, owner: "o@example.com", smtpUrl: "", acmeContact: "" };
  foundHouse(founded, { ...names, timeZone: "UTC", now, by: { kind: "operator" } });
  await input.first?.(founded);
  await founded.close();
  const lines: string[] = [];
  const server = await startServer({
    ...place,
    environment: {},
    clock,
    overrides: { listen: "127.0.0.1:0", ...input.overrides },
    write: (line) => lines.push(line),
  });
  let stopping: Promise<void> | undefined;
  return {
    ...server,
    ...place,
    folder,
    lines,
    stop: () => {
      stopping ??= server.stop().finally(() => rmSync(folder, { recursive: true }));
      return stopping;
    },
  };
}

/** As `candor cert import` does it; a running server takes it up when its shelf is reloaded. */
export function importIssued({ db, keys, clock }: Deps, authority: Authority, { certificate, key }: Issued): void {
  const chain = certificate + authority.intermediate;
  importCertificate(db, { chain, key, authority: authority.root, keys, now: clock.now() });
}
