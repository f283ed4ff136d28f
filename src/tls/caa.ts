/** Whom the owner of a domain lets certify it, by CAA records (RFC 8659) and what they ask for beyond that (RFC 8657). */
import { isWildcard, withoutWildcard } from "../host-names.ts";
import type { ChallengeType } from "../schema.ts";

export type Issuer = {
  /** Of the authority; empty: nobody. */
  domain: string;
  /** The account that alone may order; undefined: any. */
  accountUri?: string;
  /** The ways to look that alone are allowed; undefined: any. */
  methods?: string[];
};

/**
 * @param records as Node's resolver gives them
 * @returns undefined where they say nothing of such a name
 */
export function issuersIn(records: object[], name: string): Issuer[] | undefined {
  const [wild, plain] = [valuesOf(records, "issuewild"), valuesOf(records, "issue")];
  const speaking = isWildcard(name) && wild.length > 0 ? wild : plain;
  return speaking.length > 0 ? speaking.map(readIssuer) : undefined;
}

/** Tags may be written in capitals (RFC 8659, 4.1). */
function valuesOf(records: object[], tag: string): string[] {
  const entries = records.flatMap((record) => Object.entries(record));
  return entries.filter(([name]) => name.toLowerCase() === tag).map(([, value]) => String(value));
}

function readIssuer(value: string): Issuer {
  const [domain = "", ...parameters] = value.split(";").map((part) => part.trim());
  const issuer: Issuer = { domain: domain.toLowerCase() };
  for (const parameter of parameters) {
    const at = parameter.indexOf("=");
    const tag = parameter.slice(0, at).trim().toLowerCase();
    const said = parameter.slice(at + 1).trim();
    if (tag === "accounturi") issuer.accountUri = said;
    if (tag === "validationmethods") issuer.methods = said.split(",").map((method) => method.trim().toLowerCase());
  }
  return issuer;
}

/**
 * @param input.ours the names by which CAA records call the authority
 * @param input.account our account with it, by its URL
 * @param input.ways how we can show that the name is ours
 * @returns why the authority mustn't certify it, in a sentence; undefined: it may
 */
export function refusalIn(
  issuers: Issuer[],
  input: { name: string; ours: string[]; account: string; ways: ChallengeType[] },
): string | undefined {
  const { name, account, ways } = input;
  const host = withoutWildcard(name);
  const ours = input.ours.map((identity) => identity.toLowerCase());
  const meant = issuers.filter(({ domain }) => ours.includes(domain));
  const takesAccount = ({ accountUri }: Issuer) => accountUri === undefined || accountUri === account;
  const takesWay = ({ methods }: Issuer) => methods === undefined || ways.some((way) => methods.includes(way));
  if (meant.some((issuer) => takesAccount(issuer) && takesWay(issuer))) return undefined;
  const [first] = meant;
  if (!first) {
    const allowed = issuers.map(({ domain }) => domain).filter((domain) => domain !== "");
    return `A CAA record of ${host} allows ${allowed.join(", ") || "nobody"}, not ${ours.join(" or ")}.`;
  }
  return takesAccount(first)
    ? `A CAA record of ${host} lets ${first.domain} look by ${first.methods?.join(" or ")} alone, and this server can show ${name} by ${ways.join(" or ")}.`
    : `A CAA record of ${host} lets ${first.domain} certify it for the account ${first.accountUri} alone, and this server's is ${account}.`;
}
