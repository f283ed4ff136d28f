import type { Deps } from "../deps.ts";
import type { Route } from "../http.ts";

export function pageAdmin(_deps: Deps): Route[] {
  return [];
}
