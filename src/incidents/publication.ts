/**
 * What the press of a publish button leads to, for every form that publishes: a second press leads to the first one's
 * outcome, the page is pressed, the announcer woken, and the publisher told what becomes of the letters.
 */
import { announcementOf } from "../announcements/announcements.ts";
import type { Actor } from "../audit/audit.ts";
import { hashSecret } from "../crypto/fields.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Form } from "../http.ts";
import { type Done, goOn } from "../team/desk.ts";
import { nextTurn } from "../turns.ts";
import type { Incident, IncidentUpdate } from "./stories.ts";

/** Drafts that were published, and where that led. */
const mostDrafts = 1_000;
type Outcome = { path: string; done: Done };

export type Publication = {
  doing(c: Ctx): { pageId: string; burstFactor: number; now: number; by: Actor };
  /** The way on when this very draft was published before. */
  before(c: Ctx): Response | undefined;
  afterwards(c: Ctx, written: { incident: Incident; update: IncidentUpdate }): Promise<Response>;
};

export function createPublication(deps: Deps): Publication {
  const { db, clock } = deps;
  const published = new Map<string, Outcome>();
  const remember = (form: Form, outcome: Outcome) => {
    if (form.one("draft") === "") return;
    published.set(draftOf(form), outcome);
    for (const oldest of published.keys()) {
      if (published.size <= mostDrafts) break;
      published.delete(oldest);
    }
  };
  const doneWith = (updateId: string): Done => {
    const announcement = announcementOf(db, updateId);
    if (!announcement) return "silent";
    if (announcement.state === "held") return "held";
    if (announcement.audience === 0 || deps.config.text("mail.smtp_url") === "") return "published";
    return deps.mailer.state().paused ? "waiting" : "told";
  };
  return {
    doing: (c) => ({
      pageId: c.get("page").id,
      burstFactor: deps.config.number("mail.burst_factor"),
      now: clock.now(),
      by: c.get("actor"),
    }),
    before: (c) => {
      const outcome = published.get(draftOf(c.get("form")));
      return outcome && goOn(c, outcome.path, outcome.done);
    },
    afterwards: async (c, { incident, update }) => {
      const path = `/admin/incidents/${incident.id}`;
      const done = doneWith(update.id);
      remember(c.get("form"), { path, done });
      await nextTurn();
      deps.press.press(incident.pageId, incident.id);
      deps.announcer.wake();
      return goOn(c, path, done);
    },
  };
}

/** The draft with its words, whatever was seen: whoever goes back after publishing and writes something else publishes something else. */
function draftOf(form: Form): string {
  const said = form.entries.filter(([name]) => !["step", "_csrf", "seen"].includes(name));
  return hashSecret(JSON.stringify(said));
}
