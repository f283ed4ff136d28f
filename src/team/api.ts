import type { Deps } from "../deps.ts";
import type { Route } from "../http.ts";

export function memberApi(_deps: Deps): Route[] {
  return [];
}
