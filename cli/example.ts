/** `candor example`, which `npm start` runs: a company's page with a past and a present, ready to be looked at. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { systemClock } from "../src/clock.ts";
import { type ListenPlace, parseListen, processEnvironment } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import { followPort, prepareKeys } from "../src/founding.ts";
import { listPages, originOf } from "../src/pages/pages.ts";
import { openHouse, type RunningServer } from "../src/server.ts";
import { createSignInLink, listMembers } from "../src/team/members.ts";
import { fillExample } from "./example-fill.ts";
import { type Shared, whereOf } from "./house.ts";
import { print } from "./print.ts";
import { leave, serveUntilStopped } from "./serve.ts";

export function addExampleCommand(program: Command): void {
  program
    .command("example")
    .description("serve a living example: a company's page with 90 days of history")
    .option("--listen <addr:port>", "address and port; default: CANDOR_LISTEN, then 127.0.0.1:8080")
    .addHelpText(
      "after",
      `
Makes the example in an empty data folder and serves it; a folder that holds one already is just served. Needs no
mail server: letters are kept and can be read in the admin. To begin again, remove the data folder and its key.

Example:
  $ candor example --data /tmp/candor-example --listen 127.0.0.1:9000`,
    )
    .action((_own, command: Command) => example(command.optsWithGlobals()));
}

async function example(options: Shared & { listen?: string }): Promise<void> {
  const where = whereOf(options);
  const environment = processEnvironment();
  const now = systemClock.now();
  const overrides = options.listen === undefined ? {} : { listen: options.listen };
  prepareKeys({ ...where, now });
  const isNew = !existsSync(join(where.data, "candor.db"));
  const house = openHouse({ ...where, environment, overrides, mayBeNew: true, delivers: false });
  try {
    const place = parseListen(house.config.text("listen")) as ListenPlace;
    if ("fd" in place)
      throw new UserError("invalid", "The example listens on an address of its own: --listen ADDR:PORT.");
    const { host, port } = place;
    if (listPages(house.db).length === 0) {
      if (!isNew) print("Finishing an example that was cut short.");
      // Nobody invented is mailed through a real mail server.
      fillExample(house, { hosts: originsOf(host, port), now, tell: house.config.text("mail.smtp_url") === "" });
    } else {
      followPort(house.db, port);
    }
  } finally {
    await house.close();
  }
  await serveUntilStopped(options, options, tellWhere);
  leave();
}

function tellWhere(server: RunningServer): void {
  const { db, keys, clock, config } = server.deps;
  const [page] = listPages(db);
  const owner = listMembers(db, keys).find((member) => member.grants.some((grant) => grant.role === "owner"));
  if (!page || !owner) throw new UserError("not_found", "This data folder has no page with an owner. Run: candor init");
  const origin = originOf(db, page.id);
  const secret = createSignInLink(db, { memberId: owner.id, now: clock.now(), by: { kind: "operator" } });
  const smtp = config.text("mail.smtp_url");
  const mail = smtp === "" ? `Letters are kept: ${origin}/admin/mail` : `Letters go to ${new URL(smtp).host}`;
  print(`
  ${page.name}     ${origin}
  Sign in once, within 30 minutes: ${origin}/admin/enter/${secret}
  ${mail}

  Stop with Ctrl-C.
`);
}

/** Every name under which this machine itself may be asked; the first is the one that links begin with. */
function originsOf(host: string, port: number): string[] {
  const loopback = ["127.0.0.1", "localhost", "[::1]"];
  const own = host.includes(":") ? `[${host}]` : host;
  const isWildcard = ["0.0.0.0", "[::]"].includes(own);
  const names = isWildcard || loopback.includes(own) ? loopback : [own, ...loopback];
  return names.map((name) => new URL(`http://${name}:${port}`).origin);
}
