import type { Deps } from "../deps.ts";
import type { Route } from "../http.ts";

export function incidentAdmin(_deps: Deps): Route[] {
  return [];
}
