/** How much may be saved up: a twentieth of a second's letters, so that no second sees more than five per cent above. */
const burst = 0.05;

export type Pace = {
  /** Takes leave for one letter at `rate` letters a second (0: any). @returns 0, or the milliseconds to wait before asking again */
  take(rate: number): number;
};

/** A token bucket. `elapsed` gives milliseconds that only ever rise. */
export function createPace(elapsed: () => number): Pace {
  let tokens = 1;
  let at = elapsed();
  return {
    take: (rate) => {
      const now = elapsed();
      if (rate > 0) tokens = Math.min(Math.max(1, rate * burst), tokens + ((now - at) * rate) / 1000);
      at = now;
      if (rate === 0) return 0;
      if (tokens < 1) return Math.ceil(((1 - tokens) * 1000) / rate);
      tokens -= 1;
      return 0;
    },
  };
}
