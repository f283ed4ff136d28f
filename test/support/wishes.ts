/** What a keeper of certificates is told and given where no server runs and nothing is served. */
import type { CertificateShelf } from "../../src/tls/shelf.ts";
import type { Wishes } from "../../src/tls/wishes.ts";

export function makeWishes(wanted: Partial<Wishes> = {}): Wishes {
  return {
    runs: true,
    listens: true,
    authorities: [{ directory: "https://one.test/", binding: undefined }],
    testDirectory: "",
    caFiles: [],
    isPublic: false,
    contact: "o@example.com",
    keyKind: "ecdsa",
    profile: "",
    wildcards: [],
    dnsHook: undefined,
    lookup: { addresses: async () => ["192.0.2.1"], allowedIssuers: async () => undefined },
    ...wanted,
  };
}

export const emptyShelf: CertificateShelf = {
  find: () => undefined,
  isValid: () => true,
  servedSince: () => undefined,
  isUnusable: () => false,
  reload: () => {},
  beginServing: () => {},
  waitForPort: () => {},
  isWaiting: () => false,
  lateHosts: () => [],
};
