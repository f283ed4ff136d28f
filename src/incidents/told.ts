/** What became of an update's letters, in a sentence for the publisher. */
import { outcomeOf } from "../announcements/announcements.ts";
import type { Db } from "../db.ts";

const stateWords: [string[], string][] = [
  [["sent"], "sent"],
  [["kept"], "kept, because no mail server is set up"],
  [["queued", "leased"], "waiting"],
  [["deferred"], "put off by the mail server, to be tried again"],
  [["bounced"], "bounced"],
  [["superseded"], "replaced by a newer update"],
  [["suppressed"], "not sent, because the reader had left"],
  [["held"], "held"],
];

export function toldView(db: Db, updateId: string): { sentence: string; announcementId: number | undefined } {
  const outcome = outcomeOf(db, updateId);
  if (!outcome) return { sentence: "Nobody was told by mail.", announcementId: undefined };
  const { announcement, states } = outcome;
  const people = announcement.audience === 1 ? "1 person" : `${announcement.audience.toLocaleString("en")} people`;
  if (announcement.state === "held") return { sentence: `Held. ${announcement.reason}`, announcementId: undefined };
  if (announcement.state === "dropped")
    return { sentence: `Dropped: none of ${people} were told.`, announcementId: undefined };
  if (announcement.audience === 0) return { sentence: "Nobody had subscribed to this.", announcementId: undefined };
  const counts = stateWords.flatMap(([names, words]) => {
    const count = names.reduce((sum, name) => sum + (states[name] ?? 0), 0);
    return count === 0 ? [] : [`${count.toLocaleString("en")} ${words}`];
  });
  const list = counts.length === 0 ? "letters are being written" : counts.join(", ");
  return { sentence: `To ${people}: ${list}.`, announcementId: announcement.id };
}
