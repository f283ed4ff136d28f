/** Components and groups as people name them: by id, by name, or by "Group - Name" where a name stands twice. */
import { distance } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import type { Json, Visit } from "./house.ts";

export type Part = {
  id: string;
  name: string;
  full: string;
  status: string;
  groupId: string | null;
  archived: boolean;
};

/** Page after page until one isn't full. */
export async function listAll(
  house: Visit,
  path: string,
  size: "per_page" | "limit",
  first: 0 | 1,
  most = Number.MAX_SAFE_INTEGER,
): Promise<Json[]> {
  const rows: Json[] = [];
  for (let page = first; rows.length < most; page++) {
    const slice = await house.ask("GET", `${path}${path.includes("?") ? "&" : "?"}${size}=100&page=${page}`);
    rows.push(...slice);
    if (slice.length < 100) break;
  }
  return rows.slice(0, most);
}

export async function listParts(house: Visit, which: "living" | "archived" | "both" = "living"): Promise<Part[]> {
  const rows = await listAll(house, "/components", "per_page", 1);
  const groups = new Map<string, string>(rows.filter((row) => row.group).map((row) => [row.id, row.name]));
  const part =
    (archived: boolean) =>
    (row: Json): Part => {
      const group = groups.get(row.group_id);
      const full = group ? `${group} - ${row.name}` : row.name;
      return { id: row.id, name: row.name, full, status: row.status, groupId: row.group_id, archived };
    };
  const living = which === "archived" ? [] : rows.filter((row) => !row.group).map(part(false));
  const gone =
    which === "living" ? [] : (await listAll(house, "/components?archived=true", "per_page", 1)).map(part(true));
  return [...living, ...gone];
}

export async function pickPart(
  house: Visit,
  given: string,
  which: "living" | "archived" | "both" = "living",
): Promise<Part> {
  return pick(await listParts(house, which), given, "component");
}

export async function pickGroup(house: Visit, given: string): Promise<Json> {
  const groups = await listAll(house, "/component-groups", "per_page", 1);
  return pick(
    groups.map((group) => ({ ...group, full: group.name })),
    given,
    "group",
  );
}

/** `NAME=STATUS` sets a status, `NAME` alone says that it concerns the component. */
export function pickStatuses(
  parts: Part[],
  given: string[],
): { components: Record<string, string>; componentIds: string[] } {
  const components: Record<string, string> = {};
  const componentIds: string[] = [];
  for (const words of given) {
    const cut = words.lastIndexOf("=");
    const { id } = pick(parts, cut < 0 ? words : words.slice(0, cut), "component");
    componentIds.push(id);
    if (cut >= 0) components[id] = words.slice(cut + 1).trim();
  }
  return { components, componentIds };
}

function pick<One extends { id: string; name: string; full: string }>(list: One[], given: string, what: string): One {
  const wanted = given.trim();
  const byId = list.find((one) => one.id === wanted);
  if (byId) return byId;
  const folded = fold(wanted);
  const named = list.filter((one) => fold(one.name) === folded || fold(one.full) === folded);
  if (named.length === 1) return named[0] as One;
  if (named.length > 1) {
    const choices = named.map((one) => `${JSON.stringify(one.full)} (${one.id})`).join(", ");
    throw new UserError(
      "invalid",
      `There are ${named.length} ${what}s named ${JSON.stringify(wanted)}. Say which: ${choices}.`,
    );
  }
  if (list.length === 0)
    throw new UserError("not_found", `The page has no ${what} yet. Make one with: candor ${what} create NAME`);
  const near = nearest(list, folded).map((one) => JSON.stringify(one.full));
  throw new UserError("not_found", `There is no ${what} ${JSON.stringify(wanted)}. Near it: ${near.join(", ")}.`);
}

/** The three most alike: those that contain the word first, then by how many letters differ. */
function nearest<One extends { name: string; full: string }>(list: One[], folded: string): One[] {
  const strangeness = (one: One) => (fold(one.full).includes(folded) ? 0 : distance(folded, fold(one.name)));
  return list.toSorted((a, b) => strangeness(a) - strangeness(b)).slice(0, 3);
}

function fold(text: string): string {
  return text.trim().toLowerCase().replaceAll(/\s+/g, " ");
}
