/**
 * The public suffix list: which names are below a suffix that the whole internet knows, and which domain somebody
 * registered. It is large, and needed only where certificates are ordered, so it is loaded when it is first wanted.
 */
import { withoutWildcard } from "../host-names.ts";

let list: typeof import("tldts") | undefined;

export async function loadSuffixes(): Promise<void> {
  list ??= await import("tldts");
}

export function areSuffixesLoaded(): boolean {
  return list !== undefined;
}

/** Whether the name is below one of the suffixes that the whole internet knows. */
export function isPublicName(name: string): boolean {
  const { publicSuffix, isIcann } = loaded().parse(name);
  return isIcann === true && publicSuffix !== name;
}

/** The domain that authorities count a name by; suffixes of private registries count as registries. */
export function registeredDomain(name: string): string {
  return loaded().getDomain(withoutWildcard(name), { allowPrivateDomains: true }) ?? name;
}

function loaded(): typeof import("tldts") {
  if (!list) throw new Error("The public suffix list isn't loaded yet.");
  return list;
}
