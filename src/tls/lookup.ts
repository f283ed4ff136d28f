/** What the DNS says of a host, as an authority would ask it. */
import { lookup, Resolver } from "node:dns/promises";
import { withoutWildcard } from "../host-names.ts";
import { type Issuer, issuersIn } from "./caa.ts";

export type Lookup = {
  /** Every address, or none. @throws Error when the DNS doesn't answer */
  addresses(name: string): Promise<string[]>;
  /** Whom the CAA records allow (RFC 8659); undefined where none says anything or the DNS doesn't answer. */
  allowedIssuers(name: string): Promise<Issuer[] | undefined>;
};

const answersIn = { timeout: 5_000, tries: 2 };
/** Nothing is there: that is an answer. */
const nothing = new Set(["ENOTFOUND", "ENODATA", "EAI_NONAME"]);

/**
 * @param input.servers to be asked instead of the system's, like 192.0.2.53 or 192.0.2.53:5353
 * @param input.isPublic the authority asks the public DNS, whatever this machine's hosts file says
 */
export function createLookup(input: { servers: string[]; isPublic: boolean }): Lookup {
  const { servers, isPublic } = input;
  const resolver = new Resolver(answersIn);
  if (servers.length > 0) resolver.setServers(servers);
  const orNone = async (asked: Promise<string[]>): Promise<string[]> => {
    try {
      return await asked;
    } catch (error) {
      if (nothing.has((error as NodeJS.ErrnoException).code ?? "")) return [];
      throw error;
    }
  };
  return {
    addresses: async (name) => {
      const asked = async () => {
        const [four, six] = await Promise.all([orNone(resolver.resolve4(name)), orNone(resolver.resolve6(name))]);
        return [...four, ...six];
      };
      if (servers.length > 0) return asked();
      const found = await orNone(lookup(name, { all: true }).then((known) => known.map(({ address }) => address)));
      if (!found.some(isLoopback)) return found;
      // A server's own name stands in its hosts file, which nobody else reads but an authority on this machine.
      const told = await asked().catch(() => undefined);
      return told && (told.length > 0 || isPublic) ? told : found;
    },
    allowedIssuers: async (name) => {
      for (let labels = withoutWildcard(name).split("."); labels.length > 0; labels = labels.slice(1)) {
        try {
          const records = await resolver.resolveCaa(labels.join("."));
          if (records.length > 0) return issuersIn(records, name);
        } catch (error) {
          if (!nothing.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
        }
      }
      return undefined;
    },
  };
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
