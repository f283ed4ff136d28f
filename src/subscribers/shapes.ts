/** A subscriber as Statuspage's Manage API shows one: all keys, in their order. */
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import type { SubscriberState } from "../schema.ts";
import { iso, isoOrNull } from "../statuspage/shapes.ts";
import { confirmationLifeMs } from "./links.ts";
import { addressOf, type Subscriber } from "./subscribers.ts";
import { wishOf } from "./wishes.ts";

/** Statuspage's channels; we have the first. */
export const channels = ["email", "sms", "slack", "webhook", "teams", "integration_partner"] as const;

/** Statuspage's words for states, and what they hold; `paused` and `unsubscribed` are ours. */
export const statesBy: Record<string, SubscriberState[]> = {
  active: ["active"],
  unconfirmed: ["unconfirmed"],
  quarantined: ["quarantined"],
  paused: ["paused"],
  unsubscribed: ["unsubscribed"],
  all: ["active", "unconfirmed", "quarantined", "paused"],
};

export function subscriberShape(db: Db, keys: Keys, subscriber: Subscriber) {
  const waits = subscriber.state === "unconfirmed" && subscriber.confirmationSentAt !== null;
  return {
    id: subscriber.id,
    skip_confirmation_notification: subscriber.confirmedAt !== null && subscriber.confirmationSentAt === null,
    mode: "email",
    email: addressOf(keys, subscriber) ?? null,
    endpoint: null,
    phone_number: null,
    phone_country: null,
    display_phone_number: null,
    obfuscated_channel_name: null,
    workspace_name: null,
    quarantined_at: isoOrNull(subscriber.quarantinedAt),
    purge_at: waits ? iso((subscriber.confirmationSentAt as number) + confirmationLifeMs) : null,
    components: wishOf(db, subscriber).componentIds,
    page_access_user_id: null,
    created_at: iso(subscriber.createdAt),
  };
}
