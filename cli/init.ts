/** `candor init`: from nothing to a page, in a few questions or none. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { systemClock } from "../src/clock.ts";
import { type BootOptions, processEnvironment } from "../src/config.ts";
import { writeKit } from "../src/crypto/recovery-kit.ts";
import { UserError } from "../src/errors.ts";
import {
  type Founding,
  foundHouse,
  foundingRules,
  isFounded,
  prepareKeys,
  refuseKeyInside,
  requireFounding,
} from "../src/founding.ts";
import { listPages, originOf, requireOrigin } from "../src/pages/pages.ts";
import { openHouse } from "../src/server.ts";
import { createSignInLink } from "../src/team/members.ts";
import { ask, isTerminal } from "./ask.ts";
import { enterHouse, flagsFor, type Json, type Shared, whereOf } from "./house.ts";
import { kitWords } from "./key.ts";
import { facts, note, printAs } from "./print.ts";

type Options = Shared & {
  pageName?: string;
  host?: string;
  owner?: string;
  smtp?: string;
  timeZone?: string;
  acmeContact?: string;
  yes?: boolean;
};

export function addInitCommand(program: Command): void {
  program
    .command("init")
    .description("set up a page: key, encrypted database, page, owner")
    .option("--host <name>", "the page's host name, like status.example.com (https is meant), or http://127.0.0.1:8080")
    .option("--page-name <name>", "the page's name; left out: made of the host's")
    .option("--owner <address>", "your e-mail address; you may do everything")
    .option(
      "--smtp <url>",
      "the mail server, like smtp://user:password@mail.example.com:587; left out: letters are kept",
    )
    .option("--time-zone <zone>", "the zone that days begin in, like Europe/Berlin; left out: this machine's")
    .option(
      "--acme-contact <address>",
      "get certificates from Let's Encrypt and agree to its terms; your address for it (also: candor config set acme.contact)",
    )
    .option("--yes", "ask nothing")
    .addHelpText(
      "after",
      `
On a terminal you are asked what isn't given. Prints the recovery kit once: keep it off this machine. Running it again
changes nothing and says what is there; one that was cut short is finished.

Examples:
  $ candor init
  $ candor init --data /var/lib/candor --key-file /etc/candor.key --page-name Acme \\
      --host status.acme.com --owner you@acme.com --smtp smtp://user:password@mail.acme.com:587 --yes`,
    )
    .action((_own, command: Command) => init(command.optsWithGlobals()));
}

async function init(options: Options): Promise<void> {
  const where = whereOf(options);
  if (isFounded(where.data)) {
    refuseKeyInside(where);
    const pages: Json[] = existsSync(join(where.data, "candor.db"))
      ? await enterHouse(options, (house) => house.call("GET", "/v1/pages"))
      : [];
    if (pages.length > 0) return tellWhatIsThere(options, where, pages[0]);
    note("Finishing a set-up that was cut short.");
  }
  const asked = isTerminal() && !options.yes;
  const { keyFile, ...founding } = asked ? await askAll(options, where) : takeFlags(options, where);
  requireFounding(founding);
  const now = systemClock.now();
  const kek = prepareKeys({ ...where, keyFile, now });
  const by = { kind: "operator" } as const;
  const house = openHouse({ ...where, keyFile, environment: processEnvironment(), mayBeNew: true, delivers: false });
  try {
    if (listPages(house.db).length > 0) throw new UserError("conflict", "Somebody else has just set it up.");
    const { page, owner } = foundHouse(house, { ...founding, now, by });
    const secret = createSignInLink(house.db, { memberId: owner.id, now, by });
    const link = `${originOf(house.db, page.id)}/admin/enter/${secret}`;
    const kit = writeKit(kek);
    const outcome = {
      page: page.name,
      data: resolve(where.data),
      key_file: resolve(keyFile),
      recovery_kit: kit,
      url: link,
    };
    printAs(options, outcome, () => [kitText(kit), madeText(founding, { ...where, keyFile }), link].join("\n\n"));
  } finally {
    await house.close();
  }
}

function tellWhatIsThere(options: Options, where: BootOptions, page: Json): void {
  const there = {
    page: page.name,
    url: page.url,
    data: resolve(where.data),
    key_file: resolve(where.keyFile),
    created: false,
  };
  printAs(options, there, () =>
    [
      "Candor is set up here already. Nothing was changed.",
      facts([
        ["Page", `${page.name}, ${page.url}`],
        ["Data", there.data],
        ["Key", there.key_file],
      ]),
      "To sign in: candor member link ADDRESS",
    ].join("\n\n"),
  );
}

type Answers = Founding & { keyFile: string };

/** Where Let's Encrypt keeps what its subscribers agree to. */
const terms = "https://letsencrypt.org/repository/";

function takeFlags(options: Options, where: BootOptions): Answers {
  if (!options.host)
    throw new UserError("invalid", "Say under which host name the page is served: --host status.example.com");
  if (!options.owner) throw new UserError("invalid", "Say who owns the page: --owner you@example.com");
  const pageName = options.pageName ?? nameFrom(requireOrigin(options.host).hostname);
  const { host, owner, smtp = "", acmeContact = "" } = options;
  return {
    pageName,
    host,
    owner,
    smtpUrl: smtp,
    acmeContact,
    timeZone: options.timeZone ?? machineZone(),
    keyFile: where.keyFile,
  };
}

/** The host comes first, because the other defaults follow from it. */
async function askAll(options: Options, where: BootOptions): Promise<Answers> {
  note("A few questions; Return takes what stands in brackets.\n");
  const own = hostname().includes(".") ? `status.${hostname().split(".").slice(1).join(".")}` : "http://127.0.0.1:8080";
  const host =
    options.host ?? (await ask({ question: "Host name of the page", preset: own, check: foundingRules.host }));
  const name = requireOrigin(host).hostname;
  const pageName =
    options.pageName ??
    (await ask({ question: "Name of the page", preset: nameFrom(name), check: foundingRules.pageName }));
  const domain = /[a-z]\.[a-z]/i.test(name) ? name.split(".").slice(-2).join(".") : "";
  const owner =
    options.owner ??
    (await ask({ question: "Your e-mail address", preset: domain && `admin@${domain}`, check: foundingRules.owner }));
  const smtpUrl =
    options.smtp ??
    (await ask({
      question: "Mail server, like smtp://user:password@mail.example.com:587",
      preset: "",
      shown: "none: letters are kept and can be read in the admin",
      check: foundingRules.smtpUrl,
    }));
  const keyFile =
    options.keyFile ??
    (await ask({
      question: "Where the key shall lie, outside the data folder",
      preset: where.keyFile,
      check: (answer) => refuseKeyInside({ ...where, keyFile: answer }),
    }));
  const isSecure = requireOrigin(host).protocol === "https:";
  const acmeContact = options.acmeContact ?? (isSecure ? await askAboutCertificates(owner) : "");
  return { host, pageName, owner, smtpUrl, acmeContact, keyFile, timeZone: options.timeZone ?? machineZone() };
}

/** Asked for an https host only: to answer is to agree. */
async function askAboutCertificates(owner: string): Promise<string> {
  note(`\nCandor can get the host's certificate from Let's Encrypt and renew it. Its terms: ${terms}`);
  const answer = await ask({
    question: "Your address for Let's Encrypt, which agrees to its terms; or none",
    preset: owner,
    check: (text) => (text === "none" ? undefined : foundingRules.acmeContact(text)),
  });
  return answer === "none" ? "" : answer;
}

/** status.acme.com is Acme's. */
function nameFrom(hostName: string): string {
  const labels = hostName.split(".");
  const word = /^[\d.]+$|^\[/.test(hostName) || labels.length < 2 ? "Status" : (labels.at(-2) as string);
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function machineZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function kitText(kit: { fingerprint: string; lines: string[] }): string {
  return `${kitWords(kit)}

Write this down or store it in a password manager, off this machine, now.
Whoever has it and the data can read everything; without it and the key file
nobody can, you included. The key file comes back with: candor key restore`;
}

function startText(founding: Founding, where: string): string[] {
  const serve = `candor serve${where}`;
  const both = `${serve} --http '[::]:80' --https '[::]:443'`;
  if (requireOrigin(founding.host).protocol !== "https:") return [`Start the server:  ${serve}`];
  if (founding.acmeContact !== "")
    return [
      `Start the server:  ${both}`,
      `It gets the certificate by itself; see how that goes:  candor host list${where}`,
    ];
  const agree = `candor config set acme.contact ${founding.owner}${where}`;
  return [
    `Start the server behind a proxy that holds the certificate:  ${serve}`,
    `Or let Candor get it from Let's Encrypt, whose terms that agrees to:  ${agree} && ${both}`,
    `Or with a certificate of your own (candor cert import):  ${both}`,
  ];
}

function madeText(founding: Founding, where: BootOptions): string {
  const { origin } = requireOrigin(founding.host);
  const flags = flagsFor(where);
  const kept = `kept, to be read in the admin; to send it: candor config set mail.smtp_url -${flags}`;
  return [
    facts([
      ["Page", `${founding.pageName}, ${origin}`],
      ["Owner", founding.owner],
      ["Certificates", founding.acmeContact === "" ? "" : `Let's Encrypt, by ${founding.acmeContact}`],
      ["Mail", founding.smtpUrl === "" ? kept : `sent by ${new URL(founding.smtpUrl).host}`],
      ["Data", resolve(where.data)],
      ["Key", resolve(where.keyFile)],
    ]),
    ...startText(founding, flags),
    ...(founding.smtpUrl === "" ? [] : [`See whether mail works:  candor mail test ${founding.owner}${flags}`]),
    `Then open this to sign in, once, within 30 minutes (later: candor member link ${founding.owner}${flags}):`,
  ].join("\n\n");
}
