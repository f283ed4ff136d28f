/** Who did it, in words for the team. Names are looked up when they are shown; the audit holds none. */
import type { Deps } from "../deps.ts";
import { listMembers } from "./members.ts";
import { listTokens } from "./tokens.ts";

export function actorNames(deps: Pick<Deps, "db" | "keys">) {
  const names = new Map([
    ...listMembers(deps.db, deps.keys).map((member) => [member.id, member.address] as const),
    ...listTokens(deps.db).map((token) => [token.id, `the token “${token.name}”`] as const),
  ]);
  return {
    named: (id: string | null) => names.get(id ?? ""),
    nameOf: (actor: { actorKind: string; actorId: string | null }): string => {
      if (actor.actorKind === "operator") return "The operator, at the command line";
      if (actor.actorKind === "system") return "Candor itself";
      if (actor.actorKind === "subscriber") return "A subscriber, by their link";
      if (actor.actorKind === "stranger") return "Somebody who isn’t signed in";
      return names.get(actor.actorId ?? "") ?? `A ${actor.actorKind} that is gone`;
    },
  };
}
