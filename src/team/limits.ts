import type { Clock } from "../clock.ts";
import { UserError } from "../errors.ts";

export type Limits = {
  /** Takes one of `most` per `perMs`; they grow back evenly. @throws UserError too_many, with the seconds to wait */
  take(key: string, allowance: Allowance, message: string): void;
  /** Gives back what was taken, for an attempt that turned out well. */
  give(key: string): void;
};
export type Allowance = { most: number; perMs: number };

type Bucket = { left: number; at: number; allowance: Allowance };

/** Forgets the oldest keys beyond this many, so that an attacker with many addresses fills no memory. */
const mostKeys = 50_000;

export function createLimits(clock: Clock): Limits {
  const buckets = new Map<string, Bucket>();
  const refill = (bucket: Bucket, now: number) => {
    const { most, perMs } = bucket.allowance;
    bucket.left = Math.min(most, bucket.left + ((now - bucket.at) * most) / perMs);
    bucket.at = now;
  };
  return {
    take: (key, allowance, message) => {
      const now = clock.now();
      const bucket = buckets.get(key) ?? { left: allowance.most, at: now, allowance };
      bucket.allowance = allowance;
      refill(bucket, now);
      buckets.delete(key);
      buckets.set(key, bucket);
      for (const oldest of buckets.keys()) {
        if (buckets.size <= mostKeys) break;
        buckets.delete(oldest);
      }
      if (bucket.left < 1) {
        const wait = Math.ceil(((1 - bucket.left) * allowance.perMs) / allowance.most / 1000);
        throw new UserError("too_many", message, { retryAfterSeconds: wait });
      }
      bucket.left -= 1;
    },
    give: (key) => {
      const bucket = buckets.get(key);
      if (bucket) bucket.left = Math.min(bucket.allowance.most, bucket.left + 1);
    },
  };
}
