/** How it stands with a host's certificate, in words: what a browser meets, what is under way, and what a person can do. */
import type { Db } from "../db.ts";
import { certificateName, isAddress, isWildcard, withoutWildcard } from "../host-names.ts";
import { type Certificate, type CertificateState, type Chooser, stateOf } from "./certificates.ts";
import { isOvertaken, nextOrder } from "./due.ts";
import { mayAskAt } from "./limits.ts";
import { isSecureHost } from "./names.ts";
import { failuresInARow, findOpenOrder, goesOnAt, type Order } from "./orders.ts";
import { isPublicName } from "./suffixes.ts";
import type { Wishes } from "./wishes.ts";

export type Plan = {
  /** The name that is ordered: the host's, or its wildcard. */
  name: string;
  certificate: Certificate | undefined;
  /** The order that is under way, or the last one when it failed. */
  order: Order | undefined;
  /** When something is done next; undefined where nothing is. */
  nextAt: number | undefined;
  /** Why none is ordered for it. */
  notWanted?: Reason;
  /** Whether this server is set to speak https; where it isn't, a proxy may hold the certificate. */
  listens: boolean;
  /** Whether a server runs here. */
  runs: boolean;
  /** Whether another program has the port for https. */
  isWaiting: boolean;
  /** Whether an order is due, and a limit of the authority holds it back. */
  isHeld: boolean;
};

/** A host that no certificate is ordered for has one of these reasons. */
export type Reason =
  | ("not running" | "no https" | "no listener" | "no contact")
  | ("an address" | "not public" | "no hook");

export function planOf(
  db: Db,
  input: { host: string; best: Chooser; wish: Wishes; isWaiting: boolean; now: number },
): Plan {
  const { host, best, wish, isWaiting, now } = input;
  const name = certificateName(host, wish.wildcards);
  const certificate = best(host, now);
  const open = findOpenOrder(db, { name, purpose: "serve" });
  const last = open ?? failuresInARow(db, { name, purpose: "serve" })[0];
  const order = last && isOvertaken(last, best, now) ? undefined : last;
  const notWanted = whyNot(db, host, wish);
  const { listens, runs } = wish;
  const plan = { name, certificate, order, listens, runs, isWaiting, isHeld: false };
  if (notWanted) return { ...plan, nextAt: undefined, notWanted };
  if (open) return { ...plan, nextAt: nextStepAt(db, { order: open, best, now }) };
  const { at, isHeld } = nextOrder(db, { name, best, wish, now });
  return { ...plan, nextAt: at, isHeld };
}

/** When an open order is gone on with. One that a limit holds is looked at before, because what counts may come to nothing. */
export function nextStepAt(db: Db, { order, best, now }: { order: Order; best: Chooser; now: number }): number {
  const goesOn = goesOnAt(order, now);
  return order.problem === "limit" ? Math.max(goesOn, mayAskAt(db, { ...order, best, now })) : goesOn;
}

/** What this server does comes first: where it holds no certificates, there is nothing to say of names and authorities. */
function whyNot(db: Db, host: string, wish: Wishes): Reason | undefined {
  if (!isSecureHost(db, host)) return "no https";
  if (!wish.listens) return "no listener";
  if (isAddress(host)) return "an address";
  if (wish.isPublic && !isPublicName(host)) return "not public";
  if (isWildcard(certificateName(host, wish.wildcards)) && !wish.dnsHook) return "no hook";
  if (wish.contact === "") return "no contact";
  return wish.runs ? undefined : "not running";
}

/** A proxy holds the certificate, or none is needed: there is nothing to say of it here. */
export function isElsewhere({ notWanted, listens, certificate }: Plan): boolean {
  return (!listens && !certificate) || notWanted === "no https";
}

export type Standing = {
  state: CertificateState | "none";
  /** What is going on, and what went wrong: whole sentences, the authority's own words quoted. Empty: nothing. */
  words: string;
  /** What a person can do about it. Empty: nothing. */
  advice: string;
  nextAt: number | undefined;
};

export function standingOf(plan: Plan, now: number): Standing {
  const { certificate, nextAt } = plan;
  const state = certificate ? stateOf(certificate, now) : "none";
  const all = [...(plan.isWaiting && plan.notWanted !== "no https" ? [portTaken] : []), underWay(plan, state)];
  const join = (parts: string[]) => parts.filter((part) => part !== "").join(" ");
  return { state, words: join(all.map(({ words }) => words)), advice: join(all.map(({ advice }) => advice)), nextAt };
}

type Words = Pick<Standing, "words" | "advice">;

function underWay({ notWanted, order, isHeld }: Plan, state: Standing["state"]): Words {
  if (notWanted) return { ...reasons[notWanted], ...(state === "valid" ? { advice: "" } : {}) };
  const held = `No certificate is ordered now: ${ofLimits}.`;
  if (order && order.problem !== null)
    return { words: isHeld ? `${troubleOf(order)} ${held}` : troubleOf(order), advice: adviceFor(order) };
  if (isHeld) return { words: held, advice: "It goes on by itself." };
  return { words: order?.state === "open" ? "A certificate is being ordered." : "", advice: "" };
}

export const portTaken: Words = {
  words: "Nothing is served over https, because another program has its port.",
  advice: "Find it with ss -ltnp as root and end it. This server takes the port by itself within ten seconds.",
};
const bring = "Bring a certificate with candor cert import, or let a proxy in front of this server hold it.";
export const reasons: Record<Reason, Words> = {
  "not running": { words: "No server runs here now. What is due is done when one does.", advice: "" },
  "no https": { words: "It is served over plain http, as its address says.", advice: "" },
  "no listener": {
    words: "This server doesn't listen for https.",
    advice:
      "Start it with candor serve --http '[::]:80' --https '[::]:443', or let a proxy in front of it hold the certificate.",
  },
  "no contact": {
    words: "No certificate is ordered, because nobody has agreed to the authority's terms.",
    advice: "Agree to them by giving your address: candor config set acme.contact you@example.com",
  },
  // Nor does candor cert import take one for an address.
  "an address": {
    words: "Authorities certify host names, and this is an address.",
    advice:
      "Add a host name that leads here with candor host add, or let a proxy in front of this server hold the certificate.",
  },
  "no hook": {
    words: "It shares a wildcard certificate (acme.wildcards), and for those the authority looks into the DNS.",
    advice: "Set acme.dns_hook to a program that changes the DNS, or take the domain out of acme.wildcards.",
  },
  "not public": {
    words: "It isn't a name of the public DNS, so no public authority certifies it.",
    advice: `${bring} An authority of your own is set with acme.directory and acme.ca_file.`,
  },
};

const ofLimits =
  "so many were ordered lately that the authority's limits could be passed, or it asked to be left alone";

/** What went wrong, in one sentence and the authority's words. */
export function troubleOf(order: Order): string {
  const { problem, detail, directory } = order;
  const who = new URL(directory).host;
  const said = detail ? ` It says: ${sentence(detail)}` : "";
  switch (problem) {
    case "noAddress":
    case "noAnswer":
    case "caa":
    case "caaElsewhere":
    case "hook":
      return detail ?? "";
    case "noChallenge":
      return `${who} offers no way to show that ${order.name} is ours that this server knows. ${detail}`;
    case "ended":
      return `${who} ended the order${detail ? `. ${detail}` : " and doesn't say why."}`;
    case "forgotten":
      return `${who} may have issued a certificate, and doesn't know the order any more.${said}`;
    case "stuck":
      return `${who} doesn't come to an end with the order.`;
    case "limit":
      return `${who} isn't asked for another certificate of ${order.name} now: ${ofLimits}.`;
    case "accountLimit":
      return `${who} isn't asked for an account now, because it was asked for so many lately.`;
    case "unwanted":
      return "It was given up: the host was removed, or another authority was chosen.";
    case "overtaken":
      return "It was given up: another certificate came meanwhile.";
    case "notAllowed":
      return `${who} takes no order from this server's account.${said}`;
    case "unreachable":
      return `${who} can't be reached: ${sentence(detail ?? "")}`;
    case "serverInternal":
      return `${who} is out of order.${said}`;
    case "rateLimited":
      return `${who} wants no more orders for now.${said}`;
    case "accountClosed":
      return `${who} has closed the account that Candor had there.${said}`;
    case "connection":
    case "unauthorized":
    case "incorrectResponse":
    case "tls":
    case "dns":
      return `${who} didn't find this server under ${order.name}.${said}`;
    case "badCertificate":
      return `${who} sent a certificate that can't be served. ${detail}`;
    default:
      return `${who} refused the order (${problem}).${said}`;
  }
}

function sentence(words: string): string {
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

/** What a person can do about an order that has a problem. */
export function adviceFor(order: Order): string {
  const host = withoutWildcard(order.name);
  const isTest = order.purpose === "test";
  const again = isTest && order.state === "failed" ? "Then ask again." : "It is tried again by itself.";
  switch (order.problem) {
    case "noAnswer":
      return `Check the name servers of ${host}, and acme.dns_servers or this machine's resolver. ${again}`;
    case "noAddress":
      return `Add an A or AAAA record for ${host} with this server's public address.`;
    case "caa":
      return isTest
        ? "Change that record, or add one that allows this. Then ask again."
        : "Change that record, or add one that allows this, or choose another authority with acme.directory.";
    case "caaElsewhere":
      return "Where it names the account at acme.directory, it is right: a test's directory has another, so that it can't be tried there. Else change that record, or add one that allows this.";
    case "connection":
    case "unauthorized":
    case "incorrectResponse":
    case "tls":
    case "dns":
      return `From the internet ${host} must lead to this server on port 80 or 443, over IPv6 too where it has an AAAA record. See: candor host show ${host}`;
    case "unreachable":
      return `Check that this machine can open https connections outwards, and acme.directory and acme.ca_file. ${again}`;
    case "notAllowed":
      return `Where it wants an external account, see acme.eab_kid and acme.eab_key; else ask it why, or choose another with acme.directory. ${again}`;
    case "externalAccountRequired":
      return "Get a key for an external account from the authority and set acme.eab_kid and acme.eab_key.";
    case "limit":
    case "accountLimit":
      return isTest && order.state === "failed" ? "Ask again later." : "It goes on by itself.";
    case "accountClosed":
      return `${again} A new account is made then. If that is closed too, ask the authority why, or choose another with acme.directory.`;
    case "userActionRequired":
      return `Do what the authority asks for, then: candor host ${isTest ? "test" : "renew"} ${host}`;
    case "hook":
      return `Mend the program of acme.dns_hook. ${again}`;
    case "rejectedIdentifier":
      return "This authority doesn't certify the name: choose another with acme.directory, or bring a certificate with candor cert import.";
    default: {
      const other = "choose another authority with acme.directory, or bring a certificate with candor cert import.";
      return isTest && order.state === "failed"
        ? `Ask again later. If it stays so, ${other}`
        : `${again} If it stays so, ${other}`;
    }
  }
}
