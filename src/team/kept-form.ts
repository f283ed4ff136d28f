/**
 * A form that came when its sender's session had ended. It is kept by nobody but their browser: it goes along with the
 * sign-in as a hidden field and comes back as a form that is sent again by a button, to where it was sent at first.
 */
import type { Form } from "../http.ts";

export type KeptForm = { path: string; entries: { name: string; value: string }[] };

export function keepForm(path: string, form: Form): string {
  return JSON.stringify({ path, entries: form.entries.filter(([name]) => name !== "_csrf") });
}

/** @returns undefined for anything that isn't a form of the admin, whoever wrote it */
export function readKeptForm(text: string): KeptForm | undefined {
  try {
    const { path, entries } = JSON.parse(text);
    const isOurs = typeof path === "string" && /^\/admin(\/[\w-]+)+$/.test(path) && path !== "/admin/sign-in";
    const isForm = Array.isArray(entries) && entries.every((pair) => Array.isArray(pair) && pair.length === 2);
    if (!isOurs || !isForm) return undefined;
    // Who pressed Publish before they were sent away looks at it once more.
    const shown = entries.map(([name, value]) => ({
      name: String(name),
      value: name === "step" ? "preview" : String(value),
    }));
    return { path, entries: shown };
  } catch {
    return undefined;
  }
}
