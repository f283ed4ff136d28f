import type { DeliveryState } from "../schema.ts";

export const kindWords = { update: "Update", confirmation: "Confirmation", test: "Test letter" } as const;

/** Each state in a word, and what it means for the letter. */
export const stateWords: Record<DeliveryState, { stateWord: string; meaning: string }> = {
  queued: { stateWord: "Waiting", meaning: "It waits to be sent." },
  leased: { stateWord: "Being sent", meaning: "It is being handed to the mail server right now." },
  sent: { stateWord: "Sent", meaning: "The mail server took it." },
  kept: { stateWord: "Kept", meaning: "No mail server was set up, so it was written down here and sent to nobody." },
  deferred: { stateWord: "Put off", meaning: "The mail server didn’t take it yet; it is tried again." },
  bounced: { stateWord: "Bounced", meaning: "The mail server refused it for good." },
  suppressed: { stateWord: "Not sent", meaning: "It was taken out of the queue before it was sent." },
  superseded: { stateWord: "Replaced", meaning: "A newer update of the same incident went out instead." },
  held: { stateWord: "Held", meaning: "Its announcement waits for somebody to release it." },
};
