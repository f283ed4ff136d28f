/** The page between writing and publishing: who will be told, the letter they will read, and how the page will look. */
import { updateWords } from "../announcements/words.ts";
import { listComponents } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import type { Form } from "../http.ts";
import type { Page } from "../pages/pages.ts";
import { storyView } from "../statuspage/incident.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** Stands for what doesn't exist yet: the incident's address, and each reader's own link. */
const yetToCome = "…";

export function reviewView(
  deps: Deps,
  input: { page: Page; origin: string; rehearsal: Rehearsal; form: Form; action: string; isNew: boolean },
) {
  const { page, origin, rehearsal } = input;
  const { story, update, announcement } = rehearsal;
  const components = listComponents(deps.db, page.id, "with");
  const names = new Map(components.map((component) => [component.id, component.name]));
  const letter = updateWords(deps.render, {
    page,
    origin,
    components,
    incident: input.isNew ? { ...story, id: yetToCome } : story,
    update,
    manageLink: `${origin}/subscription/${yetToCome}`,
  });
  return {
    title: "Check before you publish",
    action: input.action,
    hidden: input.form.entries
      .filter(([name]) => name !== "step" && name !== "_csrf")
      .map(([name, value]) => ({ name, value })),
    count: announcement?.audience ?? 0,
    tells: announcement !== undefined && announcement.audience > 0 && announcement.state !== "held",
    silent: announcement === undefined,
    held: announcement?.state === "held" ? announcement.reason : "",
    letter: { subject: letter.subject, text: letter.text, html: letterBody(letter.html) },
    partless: components.length > 0 && story.componentIds.length === 0,
    headline: rehearsal.headline,
    also: rehearsal.also,
    incident: storyView({ ...story, updates: [update] }, { zone: page.timeZone, names }),
  };
}

/** The letter's own HTML inside ours: without the styles that our policy refuses, and without links to what isn't yet. */
function letterBody(html: string): string {
  const body = /<body[^>]*>([\s\S]*)<\/body>/.exec(html)?.[1] ?? "";
  return body
    .replaceAll(/ style="[^"]*"/g, "")
    .replaceAll(/<(\/?)h1/g, "<$1h3")
    .replaceAll(/ href="([^"]*)"/g, (_, link: string) =>
      link.includes(yetToCome) ? "" : ` href="${link}" target="_blank"`,
    );
}
