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
    // Of several none can be met (RFC 8657, 3).
    if (tag === "accounturi")
      issuer.accountUri = issuer.accountUri === undefined ? said : `${issuer.accountUri} and ${said}`;
    if (tag === "validationmethods") issuer.methods = said.split(",").map((method) => method.trim().toLowerCase());
  }
  return issuer;
}

export type Permission = {
  /** In which the authority may look; empty: it mustn't certify the name. */
  ways: ChallengeType[];
  /** Why it mustn't, in a sentence. */
  refusal?: string;
  /** Whether it might for another account. */
  isOfAccount?: boolean;
};

/**
 * @param input.ours the names by which CAA records call the authority
 * @param input.account our account with it, by its URL
 * @param input.ways how we can show that the name is ours
 */
export function permissionIn(
  issuers: Issuer[],
  input: { name: string; ours: string[]; account: string; ways: ChallengeType[] },
): Permission {
  const { name, account, ways } = input;
  const host = withoutWildcard(name);
  const ours = input.ours.map((identity) => identity.toLowerCase());
  const meant = issuers.filter(({ domain }) => ours.includes(domain));
  const forUs = meant.filter(({ accountUri }) => accountUri === undefined || accountUri === account);
  const allowed = ways.filter((way) => forUs.some(({ methods }) => methods === undefined || methods.includes(way)));
  if (allowed.length > 0) return { ways: allowed };
  const refused = (words: string): Permission => ({ ways: [], refusal: `A CAA record for ${host} ${words}` });
  const [first] = meant;
  if (!first) {
    const others = issuers.map(({ domain }) => domain).filter((domain) => domain !== "");
    return refused(`allows ${others.join(", ") || "nobody"}, not ${ours.join(" or ")}.`);
  }
  const [mine] = forUs;
  return mine
    ? refused(
        `lets ${mine.domain} look by ${mine.methods?.join(" or ")} alone, and this server can show ${name} by ${ways.join(" or ")}.`,
      )
    : {
        ...refused(
          `lets ${first.domain} certify it for the account ${first.accountUri} alone, and this server's at ${new URL(account).host} is ${account}.`,
        ),
        isOfAccount: true,
      };
}
