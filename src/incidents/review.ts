/** The page between writing and publishing: who will be told, the letter they will read, and how the page will look. */
import { updateWords } from "../announcements/words.ts";
import { listComponents } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import type { Form } from "../http.ts";
import type { Page } from "../pages/pages.ts";
import { storyView } from "../statuspage/incident.ts";
import { incidentWords } from "../statuspage/words.ts";
import { countActive, countByChoice } from "../subscribers/audience.ts";
import { newestUpdate, openAlready, openAlreadyViews, sinceViews } from "./meanwhile.ts";
import { partViews } from "./posting.ts";
import type { Rehearsal } from "./rehearsal.ts";
import type { Story } from "./stories.ts";

/** Stands for what doesn't exist yet: the incident's address, and each reader's own link. */
const yetToCome = "…";

export function reviewView(
  deps: Deps,
  input: { page: Page; origin: string; rehearsal: Rehearsal; form: Form; action: string; before?: Story },
) {
  const { page, origin, rehearsal, before } = input;
  const { story, update, announcement } = rehearsal;
  const components = listComponents(deps.db, page.id, "with");
  const names = new Map(components.map((component) => [component.id, component.name]));
  const already = before || story.kind === "maintenance" ? [] : openAlready(deps.db, story);
  const ailing = update.affected.filter((row) => row.newStatus !== "operational").map((row) => row.componentId);
  const over = story.resolvedAt !== null && ailing.length > 0;
  const holding = over ? openAlready(deps.db, { pageId: page.id, componentIds: ailing }) : [];
  const letter = updateWords(deps.render, {
    page,
    origin,
    components,
    incident: before ? story : { ...story, id: yetToCome },
    update,
    manageLink: `${origin}/subscription/${yetToCome}`,
  });
  return {
    title: "Check before you publish",
    action: input.action,
    hidden: hiddenFields(input.form, before, already),
    already: openAlreadyViews(deps, { stories: already, zone: page.timeZone }),
    since: before ? sinceViews(deps, { story: before, seen: input.form.one("seen"), zone: page.timeZone }) : [],
    reopens: before && before.resolvedAt !== null && story.resolvedAt === null,
    was: before && incidentWords[before.status],
    count: announcement?.audience ?? 0,
    tells: announcement !== undefined && announcement.audience > 0 && announcement.state !== "held",
    unreachable: announcement !== undefined && deps.mailer.state().paused !== undefined,
    well: rehearsal.well && before !== undefined && before.resolvedAt !== null,
    kept: deps.config.text("mail.smtp_url") === "",
    silent: announcement === undefined,
    held: announcement?.state === "held" ? announcement.reason : "",
    letter: { subject: letter.subject, text: letter.text, html: letterBody(letter.html) },
    partless: components.length > 0 && story.componentIds.length === 0,
    who: announcement && announcement.audience > 0 ? audienceSentence(deps, page.id, story.componentIds, names) : "",
    holding: holding.filter(({ id }) => id !== story.id).map(({ id, name }) => ({ id, name })),
    again: before === undefined && story.tellAtBegin,
    left: partViews(rehearsal.left),
    endWord: incidentWords[update.status],
    headline: rehearsal.headline,
    also: rehearsal.also,
    incident: storyView({ ...story, updates: [update] }, { zone: page.timeZone, names }),
  };
}

/** 12 for everything, 3 for Login. */
function audienceSentence(deps: Deps, pageId: string, componentIds: string[], names: Map<string, string>): string {
  const { wholePage } = countActive(deps.db, pageId);
  const choices = [...countByChoice(deps.db, { pageId, componentIds })].filter(([, count]) => count > 0);
  const counts = [
    ...(wholePage > 0 ? [`${wholePage.toLocaleString("en")} for everything`] : []),
    ...choices.map(([id, count]) => `${count.toLocaleString("en")} for ${names.get(id)}`),
  ];
  return `${counts.join(", ")}.${choices.length > 1 ? " Whoever chose several of these gets one letter." : ""}`;
}

/** What was typed, and what the publisher has now been shown: the newest update, or what is open already. */
function hiddenFields(form: Form, before: Story | undefined, already: Story[]) {
  const typed = form.entries.filter(([name]) => !["step", "_csrf", "seen"].includes(name));
  const seen: [string, string][] = [["seen", before ? newestUpdate(before) : already.map(({ id }) => id).join(" ")]];
  return [...typed, ...seen].map(([name, value]) => ({ name, value }));
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
