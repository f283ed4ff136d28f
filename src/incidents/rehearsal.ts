/**
 * A rehearsal does what publishing would do, by the same rules and in the same transaction, looks at the outcome and
 * takes it all back. So what a publisher is shown is what will be, and what can't be published can't be reviewed.
 */
import { TransactionRollbackError } from "drizzle-orm";
import { type Announcement, announcementOf } from "../announcements/announcements.ts";
import { type Component, listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import { listPages } from "../pages/pages.ts";
import { frontView } from "../statuspage/front.ts";
import { readState } from "../statuspage/state.ts";
import { openIncident, troubledBy } from "./incidents.ts";
import { type Incident, type IncidentUpdate, type Story, tellStory } from "./stories.ts";

export type Rehearsal = {
  story: Story;
  update: Story["updates"][number];
  /** Undefined when nobody is to be told. */
  announcement: Announcement | undefined;
  /** What the page would say in large type. */
  headline: string;
  also: string;
  /** Parts that it would leave in trouble although it is over, and that nothing else explains. */
  left: Component[];
  /** It would be open, and every part of it operational. */
  well: boolean;
};

/**
 * Code that runs for the first time is slow, and the first publication is no time for it: rehearse one at the start, on
 * each page. So a house that couldn't publish says so before somebody has to.
 */
export function rehearseForLater(db: Db, input: { now: number; burstFactor: number }): void {
  for (const { id: pageId } of listPages(db)) {
    const [part] = listComponents(db, pageId);
    rehearse(db, input.now, (stage) =>
      openIncident(stage, {
        ...input,
        pageId,
        name: "A rehearsal",
        body: "Nobody will read this.",
        components: part ? { [part.id]: "major_outage" } : {},
        notify: true,
        by: { kind: "system" },
      }),
    );
  }
}

/** @throws UserError as `publish` does */
export function rehearse(
  db: Db,
  now: number,
  publish: (stage: Db) => { incident: Incident; update: IncidentUpdate },
): Rehearsal {
  let seen: Rehearsal | undefined;
  try {
    db.transaction((tx) => {
      // A rule opens its own transaction, which inside this one is a savepoint.
      const stage = tx as unknown as Db;
      const { incident, update } = publish(stage);
      const story = tellStory(stage, { pageId: incident.pageId, id: incident.id });
      const { headline, also } = frontView(stage, readState(stage, incident.pageId), now);
      const shown = story.updates.find((one) => one.id === update.id) as Story["updates"][number];
      const left = incident.resolvedAt === null || incident.backfilled ? [] : troubledBy(stage, incident);
      const parts = listComponents(stage, incident.pageId).filter(({ id }) => story.componentIds.includes(id));
      const isWell = parts.length > 0 && parts.every(({ status }) => status === "operational");
      const well = isWell && incident.resolvedAt === null && incident.kind === "incident";
      seen = { story, update: shown, announcement: announcementOf(stage, update.id), headline, also, left, well };
      tx.rollback();
    });
  } catch (error) {
    if (!(error instanceof TransactionRollbackError)) throw error;
  }
  return seen as Rehearsal;
}
