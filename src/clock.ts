/** The only reader of the time of day. Handed in everywhere, so that tests and simulations own it. */
export type Clock = {
  /** UTC milliseconds. */
  now(): number;
};

export const systemClock: Clock = { now: () => Date.now() };
