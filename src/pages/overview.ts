/** What a member sees first: what is open, what waits for a decision, how the mail goes, how the parts are. */
import { heldViews } from "../announcements/held.ts";
import { type Component, type ComponentGroup, listComponents, listGroups } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import { lateness } from "../incidents/lateness.ts";
import { listOpenIncidents, listUpcoming, type Story, tellStories } from "../incidents/stories.ts";
import { countQueue } from "../mail/ledger.ts";
import { storyView } from "../statuspage/incident.ts";
import { worstFirst } from "../statuspage/state.ts";
import { duration, statusWords } from "../statuspage/words.ts";
import { countSubscribers } from "../subscribers/subscribers.ts";
import type { Page } from "./pages.ts";

export function overview(deps: Deps, page: Page) {
  const { db } = deps;
  const components = listComponents(db, page.id);
  const names = new Map(components.map((component) => [component.id, component.name]));
  const view = (stories: Story[]) =>
    stories.map((story) => ({
      ...storyView(story, { zone: page.timeZone, names }),
      late: lateness(story, deps.clock.now()),
      silent: duration(Math.max(0, deps.clock.now() - (story.updates[0]?.displayAt ?? story.startedAt))),
    }));
  const open = tellStories(db, listOpenIncidents(db, page.id));
  const concerned = new Set(open.flatMap((story) => story.componentIds));
  const troubled = components.filter((component) => component.status !== "operational");
  return {
    title: "Now",
    headline: headline(open, troubled.length),
    open: view(worstFirst(open)),
    upcoming: view(tellStories(db, listUpcoming(db, page.id))),
    held: heldViews(db, { pageId: page.id }),
    mail: mailSentence(deps, page.id),
    mailTrouble: deps.mailer.state().paused !== undefined,
    kept: deps.config.text("mail.smtp_url") === "",
    active: countSubscribers(db, page.id).active,
    components: inPageOrder(components, listGroups(db, page.id)).map(partView),
    unexplained: troubled.filter((component) => !concerned.has(component.id)).map(partView),
    empty: components.length === 0,
  };
}

/** As visitors see them: first those outside any group, then group by group. */
function inPageOrder(components: Component[], groups: ComponentGroup[]): Component[] {
  const members = Map.groupBy(components, (component) => component.groupId);
  return [null, ...groups.map(({ id }) => id)].flatMap((id) => members.get(id) ?? []);
}

function partView({ id, name, status }: Component) {
  return { id, name, status, statusWord: statusWords[status] };
}

function headline(open: Story[], troubled: number): string {
  const incidents = open.filter((story) => story.kind === "incident").length;
  if (incidents > 0) return incidents === 1 ? "One incident is open." : `${incidents} incidents are open.`;
  if (open.length > 0) return "Maintenance is under way.";
  if (troubled > 0) return "No incident is open, but not every part is operational.";
  return "Nothing is open.";
}

/** The queue in one sentence. */
export function mailSentence(deps: Deps, pageId: string): string {
  const { paused, retryAt } = deps.mailer.state();
  const count = countQueue(deps.db, pageId);
  const waiting = count.queued + count.leased + count.deferred;
  const letters = waiting === 1 ? "1 letter waits" : `${waiting.toLocaleString("en")} letters wait`;
  if (paused) {
    const seconds = Math.max(1, Math.ceil(((retryAt ?? 0) - deps.clock.now()) / 1000));
    return `The mail server can’t be reached: ${letters}, and it is tried again in ${seconds} s. The reason: “${paused}”.`;
  }
  return waiting === 0 ? "No letter waits." : `${letters} to be sent.`;
}
