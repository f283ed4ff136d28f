/**
 * Two boot settings say where things lie (data folder, key file); every other one stands in the table below and is kept
 * in the database. Flags and CANDOR_… variables override it. The only reader of process.env.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { basename, isAbsolute, resolve } from "node:path";
import { eq } from "drizzle-orm";
import { seal, unseal } from "./crypto/fields.ts";
import type { Keys } from "./crypto/keyring.ts";
import type { Db } from "./db.ts";
import { UserError } from "./errors.ts";
import { parseAddress } from "./mail/address.ts";
import { settings as settingsTable } from "./schema.ts";

type Kind = "text" | "number" | "choice";
type Definition = {
  kind: Kind;
  default: string;
  meaning: string;
  secret?: true;
  /** A running server goes on with what it began with. */
  atStart?: true;
  choices?: readonly string[];
  least?: number;
  most?: number;
  check?: (value: string) => string | undefined;
  /** Asked only when the value is set: what was right then and isn't any more must not keep the page from starting. */
  checkWhenSet?: (value: string) => string | undefined;
};

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

const definitions = {
  listen: {
    kind: "text",
    default: "127.0.0.1:8080",
    atStart: true,
    meaning:
      "Address and port that the server listens on, like [::]:80, which hears IPv4 and IPv6; or fd:3, the first socket that systemd passes.",
    check: (value) =>
      parseListen(value) ? undefined : "Give an address and a port, like 127.0.0.1:8080 or [::]:80, or a socket: fd:3.",
  },
  "https.listen": {
    kind: "text",
    default: "",
    atStart: true,
    meaning:
      "Address and port for https, like [::]:443, or a passed socket like fd:4. Empty: none. Hosts that have a certificate (candor cert) are served there, and requests over plain http are sent there.",
    check: (value) =>
      value === "" || parseListen(value)
        ? undefined
        : "Give an address and a port, like [::]:443 or 0.0.0.0:443, or a socket: fd:4.",
  },
  "https.hsts": {
    kind: "choice",
    default: "host",
    choices: ["off", "host", "subdomains", "release"],
    meaning:
      "Whether browsers are told to use https alone for a year (Strict-Transport-Security): host, once it was served over https for a day; subdomains: for every name below it as well; off: nothing is said, and who was told so keeps to it; release: who was told so is freed at their next visit. Taken up within a minute.",
  },
  trusted_proxies: {
    kind: "text",
    default: "",
    meaning:
      "Addresses or networks, separated by commas, of the proxies in front of this server. Their X-Forwarded-For (who the visitor is) and X-Forwarded-Proto (whether it came over https) are believed, and the PROXY protocol where proxy_protocol is on. They may hold more connections than connections.per_network, and let them rest.",
    check: (value) => (parseNetworks(value) ? undefined : "Give addresses or networks like 127.0.0.1, 10.0.0.0/8."),
  },
  proxy_protocol: {
    kind: "choice",
    default: "off",
    choices: ["off", "on"],
    meaning:
      "Whether the proxies of trusted_proxies begin each connection with the PROXY protocol (version 1 or 2), which says whose it is. With it on, a connection of theirs that doesn't is closed.",
  },
  "connections.per_network": {
    kind: "number",
    atStart: true,
    default: "200",
    least: 10,
    most: 100000,
    meaning:
      "How many connections one network (an IPv4 address or an IPv6 /64) may hold; proxies of trusted_proxies are exempt.",
  },
  "connections.in_all": {
    kind: "number",
    atStart: true,
    default: "10000",
    least: 100,
    most: 1000000,
    meaning: "How many connections the server holds in all.",
  },
  "acme.contact": {
    kind: "text",
    default: "",
    meaning:
      "Your e-mail address for the certificate authority. Setting it agrees to the authority's terms; from then on each https host gets its certificate by itself, as far as https.listen is set. Empty: none is asked for.",
    check: (value) => (value === "" || parseAddress(value) ? undefined : "Give an address like you@example.com."),
  },
  "acme.directory": {
    kind: "text",
    default: letsEncrypt,
    meaning: "The ACME directory of the certificate authority.",
    check: (value) => checkDirectory(value),
  },
  "acme.ca_file": {
    kind: "text",
    default: "",
    meaning: "A PEM file with the root of the directory's own https certificate, where it isn't a public one.",
    checkWhenSet: (value) => (value === "" ? undefined : checkAuthorityFile(value)),
  },
  "acme.eab_kid": {
    kind: "text",
    default: "",
    meaning: "The key id of an external account binding, for an authority that wants one.",
  },
  "acme.eab_key": {
    kind: "text",
    default: "",
    secret: true,
    meaning: "The key of the external account binding, in base64url as the authority gives it.",
    check: (value) => (/^[A-Za-z0-9_+/-]*=*$/.test(value) ? undefined : "Give the key in base64url."),
  },
  "acme.second_directory": {
    kind: "text",
    default: "",
    meaning:
      "The directory of a second authority, asked when the first one has failed three times in a row; then they take turns. Setting it agrees to its terms. Empty: none.",
    check: (value) => (value === "" ? undefined : checkDirectory(value)),
  },
  "acme.second_eab_kid": {
    kind: "text",
    default: "",
    meaning: "The key id of an external account binding with the second authority.",
  },
  "acme.second_eab_key": {
    kind: "text",
    default: "",
    secret: true,
    meaning: "The key of the external account binding with the second authority, in base64url.",
    check: (value) => (/^[A-Za-z0-9_+/-]*=*$/.test(value) ? undefined : "Give the key in base64url."),
  },
  "acme.test_directory": {
    kind: "text",
    default: "",
    meaning:
      "The directory that candor host test asks; what it issues is thrown away. Empty: Let's Encrypt's staging service where acme.directory is Let's Encrypt's, else acme.directory itself.",
    check: (value) => (value === "" ? undefined : checkDirectory(value)),
  },
  "acme.key_type": {
    kind: "choice",
    default: "ecdsa",
    choices: ["ecdsa", "rsa"],
    meaning: "The kind of key of new certificates: ecdsa (P-256), or rsa (2048 bits) for very old clients.",
  },
  "acme.profile": {
    kind: "text",
    default: "tlsserver",
    meaning:
      "The certificate profile that is asked for where the authority offers it, like tlsserver, shortlived or classic.",
    check: (value) => (/^[a-z0-9_-]{1,40}$/i.test(value) ? undefined : "Give a profile's name, like tlsserver."),
  },
  "acme.wildcards": {
    kind: "text",
    default: "",
    meaning:
      "Domains, separated by commas, whose direct hosts share one wildcard certificate, like example.com for *.example.com. Needs acme.dns_hook.",
    check: (value) =>
      value.split(/[\s,]+/).every((name) => name === "" || /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name))
        ? undefined
        : "Give domains in lower case without *., like example.com, separated by commas.",
  },
  "acme.dns_hook": {
    kind: "text",
    default: "",
    meaning:
      "A program that puts TXT records into the DNS: it is run as PROGRAM present RECORD VALUE, perhaps again with the same value, returns when the record can be seen, and later as PROGRAM cleanup RECORD VALUE. With it names are shown to be ours by dns-01.",
    checkWhenSet: (value) => (value === "" ? undefined : checkProgram(value)),
  },
  "acme.dns_servers": {
    kind: "text",
    default: "",
    meaning:
      "Name servers, separated by commas, that are asked for the addresses and CAA records of hosts before a certificate is ordered, and for the addresses by candor host add and show. Empty: the system's.",
    check: (value) =>
      value.split(/[\s,]+/).every((server) => server === "" || isServer(server))
        ? undefined
        : "Give addresses like 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53.",
  },
  "mail.smtp_url": {
    kind: "text",
    default: "",
    secret: true,
    meaning:
      "The mail server: smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465. Empty: letters are kept and can be read in the admin.",
    check: (value) => checkSmtpUrl(value),
  },
  "mail.tls": {
    kind: "choice",
    default: "required",
    choices: ["required", "optional"],
    meaning:
      "required: a letter leaves only over verified TLS (a mail server on this machine excepted). optional: in clear where the server offers no TLS.",
  },
  "mail.ca_file": {
    kind: "text",
    default: "",
    meaning: "A PEM file with the authority of the mail server's certificate, where it isn't a public one.",
    checkWhenSet: (value) => (value === "" ? undefined : checkAuthorityFile(value)),
  },
  "mail.from": {
    kind: "text",
    default: "",
    meaning: "The sender's address. Empty: status@ and the page's host.",
    check: (value) => (value === "" || parseAddress(value) ? undefined : "Give an address like status@example.com."),
  },
  "mail.reply_to": {
    kind: "text",
    default: "",
    meaning: "Where answers to letters go. Empty: to the sender's address.",
    check: (value) => (value === "" || parseAddress(value) ? undefined : "Give an address like support@example.com."),
  },
  "mail.connections": {
    kind: "number",
    default: "5",
    least: 1,
    most: 50,
    meaning: "How many connections to the mail server are used at once.",
  },
  "mail.letters_per_second": {
    kind: "number",
    default: "0",
    least: 0,
    most: 100000,
    meaning: "The most letters handed to the mail server in a second. 0: as fast as it takes them.",
  },
  "mail.give_up_hours": {
    kind: "number",
    default: "24",
    least: 1,
    most: 120,
    meaning: "How many hours a letter that the mail server defers is tried again.",
  },
  "mail.burst_factor": {
    kind: "number",
    default: "5",
    least: 1,
    most: 1000,
    meaning:
      "An announcement is held, and the team asked, when it would bring the letters of one hour to more than this many times the page's subscribers (never below 100 letters).",
  },
  "mail.ledger_days": {
    kind: "number",
    default: "90",
    least: 7,
    most: 3650,
    meaning: "How many days the record of sent letters is kept.",
  },
  "session.idle_hours": {
    kind: "number",
    default: "12",
    least: 1,
    most: 720,
    meaning: "Hours without a request after which a member must sign in again.",
  },
  "session.absolute_hours": {
    kind: "number",
    default: "168",
    least: 1,
    most: 8760,
    meaning: "Hours after which a member must sign in again whatever they do.",
  },
  "subscribe.per_network_per_hour": {
    kind: "number",
    default: "20",
    least: 1,
    most: 100000,
    meaning: "How many subscriptions one network (an IPv4 address or an IPv6 /64) may ask for in an hour.",
  },
  "api.requests_per_minute": {
    kind: "number",
    default: "60",
    least: 1,
    most: 100000,
    meaning:
      "How many requests one API token may make at once. What it spent comes back evenly, all of it within a minute; until then it is answered 429.",
  },
  "log.level": {
    kind: "choice",
    default: "info",
    choices: ["debug", "info", "warn", "error"],
    meaning: "The least important events that are logged: debug, info, warn or error.",
  },
} as const satisfies Record<string, Definition>;

export type SettingName = keyof typeof definitions;
export const settingNames = Object.keys(definitions) as SettingName[];

export type Setting = {
  name: SettingName;
  value: string;
  from: "default" | "database" | "environment" | "flag";
  default: string;
  meaning: string;
  secret: boolean;
  /** Taken up when the server starts, not before. */
  atStart: boolean;
  variable: string;
};

export type Config = {
  text(name: SettingName): string;
  number(name: SettingName): number;
  list(): Setting[];
  describe(name: string): Setting;
  set(name: string, value: string, now: number): void;
  unset(name: string): void;
};

export function definitionOf(name: SettingName): Definition {
  return definitions[name];
}

/** `overrides` come from flags, in the same names. */
export function openConfig(input: {
  db: Db;
  keys: Keys;
  environment: NodeJS.ProcessEnv;
  overrides?: Partial<Record<SettingName, string | undefined>>;
}): Config {
  const { db, keys, environment, overrides = {} } = input;
  const stored = new Map<string, string>();
  for (const row of db.select().from(settingsTable).all()) {
    stored.set(
      row.name,
      row.secret ? unseal(keys, { column: "settings.secret", row: row.name }, row.secret) : (row.value ?? ""),
    );
  }
  for (const name of settingNames) {
    const flag = overrides[name];
    const given = flag ?? environment[variableOf(name)];
    if (given !== undefined) check(name, given, flag === undefined ? variableOf(name) : name);
  }

  const describe = (given: string): Setting => {
    const name = requireName(given);
    const definition = definitionOf(name);
    const flag = overrides[name];
    const variable = environment[variableOf(name)];
    const kept = stored.get(name);
    const from =
      flag !== undefined
        ? "flag"
        : variable !== undefined
          ? "environment"
          : kept !== undefined
            ? "database"
            : "default";
    return {
      name,
      value: flag ?? variable ?? kept ?? definition.default,
      from,
      default: definition.default,
      meaning: definition.atStart ? `${definition.meaning} Taken up at the next start.` : definition.meaning,
      secret: definition.secret === true,
      atStart: definition.atStart === true,
      variable: variableOf(name),
    };
  };
  return {
    describe,
    text: (name) => describe(name).value,
    number: (name) => Number(describe(name).value),
    list: () => settingNames.map(describe),
    set: (given, value, now) => {
      const name = requireName(given);
      check(name, value);
      const wrong = definitionOf(name).checkWhenSet?.(value);
      if (wrong) throw new UserError("invalid", `${name}: ${wrong}`, { field: "value" });
      const secret = definitionOf(name).secret ? seal(keys, { column: "settings.secret", row: name }, value) : null;
      const row = { value: secret ? null : value, secret, updatedAt: now };
      db.insert(settingsTable)
        .values({ name, ...row })
        .onConflictDoUpdate({ target: settingsTable.name, set: row })
        .run();
      stored.set(name, value);
    },
    unset: (given) => {
      const name = requireName(given);
      db.delete(settingsTable).where(eq(settingsTable.name, name)).run();
      stored.delete(name);
    },
  };
}

function variableOf(name: SettingName): string {
  return `CANDOR_${name.replaceAll(".", "_").toUpperCase()}`;
}

function requireName(given: string): SettingName {
  if (Object.hasOwn(definitions, given)) return given as SettingName;
  const near = nearestName(given);
  const advice = near ? `Did you mean ${near}?` : "See candor config list.";
  throw new UserError("invalid", `There is no setting ${JSON.stringify(given)}. ${advice}`, { field: "name" });
}

/** A slip of two letters, or a part of the name. */
function nearestName(given: string): SettingName | undefined {
  const [nearest] = settingNames.toSorted((a, b) => distance(given, a) - distance(given, b));
  if (nearest && distance(given, nearest) <= 2) return nearest;
  return given.length < 4 ? undefined : settingNames.find((name) => name.includes(given));
}

/** @param called how whoever gave the value knows the setting */
function check(name: SettingName, value: string, called: string = name): void {
  const definition = definitionOf(name);
  const complain = (what: string) => {
    throw new UserError("invalid", `${called}: ${what}`, { field: "value" });
  };
  if (/[\r\n\0]/.test(value)) complain("Give one line of text.");
  if (definition.kind === "number") {
    const number = Number(value);
    const { least = 0, most = Number.MAX_SAFE_INTEGER } = definition;
    if (!/^\d+$/.test(value) || number < least || number > most)
      complain(`Give a whole number from ${least} to ${most}.`);
  }
  if (definition.choices && !definition.choices.includes(value))
    complain(`Give one of: ${definition.choices.join(", ")}.`);
  const wrong = definition.check?.(value);
  if (wrong) complain(wrong);
}

/** Levenshtein's distance, for "did you mean". */
export function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(swap, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

export type ListenPlace = { host: string; port: number } | { fd: number };

/** ADDRESS:PORT, or fd:N for a listening socket that whoever starts the program has opened (sd_listen_fds(3): from 3 on). */
export function parseListen(text: string): ListenPlace | undefined {
  const passed = /^fd:([3-9]|[1-9]\d{1,3})$/.exec(text)?.[1];
  if (passed !== undefined) return { fd: Number(passed) };
  const match = /^(?!fd:)(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (!host || port > 65535) return undefined;
  return { host, port };
}

export function parseNetworks(text: string): BlockList | undefined {
  const list = new BlockList();
  for (const part of text.split(",").map((item) => item.trim())) {
    if (part === "") continue;
    const [address = "", bits] = part.split("/");
    const family = isIP(address);
    if (family === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return undefined;
    const most = family === 4 ? 32 : 128;
    if (Number(bits ?? most) > most) return undefined;
    list.addSubnet(address, Number(bits ?? most), family === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

function checkSmtpUrl(value: string): string | undefined {
  if (value === "") return undefined;
  const advice =
    "Give the mail server like smtp://user:password@mail.example.com:587 or smtps://…. In a user or password write # as %23, / as %2F, ? as %3F, @ as %40.";
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return advice;
  }
  return ["smtp:", "smtps:"].includes(url.protocol) && url.hostname !== "" ? undefined : advice;
}

function checkDirectory(value: string): string | undefined {
  const advice = "Give the address of an ACME directory, like https://acme-v02.api.letsencrypt.org/directory.";
  return URL.canParse(value) && new URL(value).protocol === "https:" ? undefined : advice;
}

function checkProgram(path: string): string | undefined {
  if (!isAbsolute(path)) return "Give the program's whole path, like /usr/local/bin/candor-dns.";
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `${path} can't be run by the server (${code}). Give the path of a program that it may run.`;
  }
}

function isServer(text: string): boolean {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  return isIP(text) !== 0 || (isIP(match?.[1] ?? match?.[2] ?? "") !== 0 && Number(match?.[3] ?? 53) <= 65535);
}

/** The server reads it at each connection, from wherever it runs. */
function checkAuthorityFile(path: string): string | undefined {
  if (!isAbsolute(path)) return "Give the file's whole path, like /etc/ssl/mail-authority.pem.";
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (error) {
    return `${path} can't be read by the server (${(error as NodeJS.ErrnoException).code}). Give the path of a PEM file that it may read.`;
  }
  return text.includes("-----BEGIN CERTIFICATE-----")
    ? undefined
    : `${path} holds no certificate. Give a PEM file that begins with -----BEGIN CERTIFICATE-----.`;
}

/** `guarded`: folders in which a key may have any mode. */
export type BootOptions = { data: string; keyFile: string; guarded?: string[] };

/**
 * Where the data folder and the key lie: flags, then CANDOR_DATA and CANDOR_KEY_FILE, then a systemd credential named
 * candor.key, then ./data and the file beside it.
 */
export function bootOptions(
  flags: { data?: string | undefined; keyFile?: string | undefined },
  environment: NodeJS.ProcessEnv,
): BootOptions {
  const data = flags.data ?? environment.CANDOR_DATA ?? "./data";
  const credential = environment.CREDENTIALS_DIRECTORY ? `${environment.CREDENTIALS_DIRECTORY}/candor.key` : undefined;
  const keyFile = flags.keyFile ?? environment.CANDOR_KEY_FILE ?? credential ?? `${besideOf(data)}.key`;
  return { data, keyFile, guarded: guardedFolders(environment) };
}

/** As it was given where that says the folder's name, so that messages repeat it; "." and ".." don't. */
function besideOf(data: string): string {
  const bare = data.replace(/[/\\]+$/, "");
  return ["", ".", ".."].includes(basename(bare)) ? resolve(bare || "/") : bare;
}

/**
 * Folders in which whoever runs us puts secrets and guards them: systemd shows a credential as 0440 with an access list,
 * container engines mount theirs as 0444. Their modes say nothing about who may read them.
 */
function guardedFolders(environment: NodeJS.ProcessEnv): string[] {
  const { CREDENTIALS_DIRECTORY } = environment;
  return ["/run/secrets", ...(CREDENTIALS_DIRECTORY ? [CREDENTIALS_DIRECTORY] : [])];
}

export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
