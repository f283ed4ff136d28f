/**
 * What the operator wants of certificates, from the settings. Nothing is asked of anybody before https is listened on and
 * a contact is set, which is how the operator agrees to the authority's terms.
 */
import type { Config } from "../config.ts";
import { createDnsHook, type DnsHook } from "./hook.ts";
import { createLookup } from "./lookup.ts";

/** How and of whom certificates are had. */
export type Wishes = {
  /** Whether a server runs here: a command alone orders nothing. */
  runs: boolean;
  /** Whether this server speaks https. */
  listens: boolean;
  /** The first is asked; a second takes its place when it fails. */
  authorities: AuthorityChoice[];
  /** For tests of a host: nothing of it is served. */
  testDirectory: string;
  /** PEM files with the roots of directories that aren't public ones. */
  caFiles: string[];
  /** Without roots of its own, it is taken for one of the public authorities. */
  isPublic: boolean;
  contact: string;
  keyKind: "ecdsa" | "rsa";
  /** Taken where the authority offers it. */
  profile: string;
  /** Domains whose direct hosts share one certificate. */
  wildcards: string[];
  /** Puts a TXT record into the DNS, or takes it out. */
  dnsHook: DnsHook | undefined;
  lookup: ReturnType<typeof createLookup>;
};

export type AuthorityChoice = { directory: string; binding: { kid: string; key: string } | undefined };

const stagingOf: Record<string, string> = {
  "https://acme-v02.api.letsencrypt.org/directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
};

export function readWishes(config: Config, { runs, listens }: { runs: boolean; listens: boolean }): Wishes {
  const list = (text: string) => text.split(/[\s,]+/).filter((part) => part !== "");
  const choice = (directory: string, kid: string, key: string): AuthorityChoice => ({
    directory,
    binding: kid === "" ? undefined : { kid, key },
  });
  const first = choice(config.text("acme.directory"), config.text("acme.eab_kid"), config.text("acme.eab_key"));
  const second = config.text("acme.second_directory");
  const spare = choice(second, config.text("acme.second_eab_kid"), config.text("acme.second_eab_key"));
  const hook = config.text("acme.dns_hook");
  const caFile = config.text("acme.ca_file");
  return {
    runs,
    listens,
    authorities: second === "" ? [first] : [first, spare],
    testDirectory: config.text("acme.test_directory") || (stagingOf[first.directory] ?? first.directory),
    caFiles: caFile === "" ? [] : [caFile],
    isPublic: caFile === "",
    contact: config.text("acme.contact"),
    keyKind: config.text("acme.key_type") as "ecdsa" | "rsa",
    profile: config.text("acme.profile"),
    wildcards: list(config.text("acme.wildcards")),
    dnsHook: hook === "" ? undefined : createDnsHook(hook),
    get lookup() {
      return createLookup({ servers: list(config.text("acme.dns_servers")), isPublic: this.isPublic });
    },
  };
}
