/**
 * When a certificate is renewed and when a failed order is tried again. Times are UTC milliseconds. Nothing here knows how
 * long certificates live: an authority may shorten them at any time, so everything is a part of the life at hand.
 */
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** `directory`: of the authority that it was had from; null: a person brought it. */
export type Life = { notBefore: number; notAfter: number; directory?: string | null };
export type Window = { start: number; end: number };

/**
 * The last moment to begin: shortly before the last third of the life, of one shorter than ten days when half of it is left.
 * A day before, because a clock may be a day slow; less an hour, because Let's Encrypt's window begins a day before.
 * One that a person brought is left to them until a month before its end, however long it lives.
 */
export function latestRenewal({ notBefore, notAfter, directory }: Life): number {
  const life = notAfter - notBefore;
  const latest = life < 10 * day ? notAfter - life / 2 : notAfter - life / 3 - 23 * hour;
  return directory === null ? Math.max(latest, notAfter - 30 * day) : latest;
}

/** Half of the time that renewal has, and all of its first tries, came to nothing. */
export function isLate(life: Life, now: number): boolean {
  return now > (latestRenewal(life) + life.notAfter) / 2;
}

/**
 * A moment drawn from the authority's window (RFC 9773, 4.2), where it told one that can be meant, or from the part of it
 * before the last moment; where there is none, one shortly before that. The draw spreads the renewals of many.
 *
 * @param chance from 0 to 1
 */
export function renewalTime(life: Life, window: Window | undefined, chance: number): number {
  const latest = latestRenewal(life);
  const length = life.notAfter - life.notBefore;
  if (!window || !isMeant(window, life) || window.start >= latest) return latest - chance * length * 0.02;
  const drawn = window.start + chance * (Math.min(window.end, latest) - window.start);
  // One that was revoked on its first day goes soon; an authority that always asks at once isn't asked without a pause.
  return Math.max(life.notBefore + Math.min(length / 10, day), drawn);
}

/** An authority that wants a certificate gone at once names a window in the past; one after the end is a mistake. */
export function isMeant({ start, end }: Window, { notAfter }: Life): boolean {
  return Number.isFinite(start) && Number.isFinite(end) && start < end && start < notAfter && end - start < 365 * day;
}

/** How long until the window is asked for again: as the authority says, within an hour and half a day (RFC 9773, 4.3). */
export function askAgainAfter(saidMs: number | undefined): number {
  return Math.min(Math.max(saidMs ?? 6 * hour, hour), 12 * hour);
}

/**
 * The moment until which something waits, as it stands in a row. One further off than anything ever waits was written by a
 * clock that ran ahead: that is now.
 */
export function believable(at: number, now: number, longestMs: number): number {
  return at - now > longestMs ? now : at;
}

/** Between two looks at an order that an authority works on, whatever it asks for. */
export const longestPollMs = hour;
/** The longest that a pause lasts, whatever an authority asks for; and a wait for a limit, which may be counted by the week. */
export const longestPauseMs = day;
export const longestWaitMs = 8 * day;

/**
 * How long an order may stay with an authority that neither ends nor forgets it.
 *
 * @param leftMs of the certificate in service when the order was opened; undefined: there is none
 * @param hasOther whether another authority can be asked instead
 * @param kept how many orders were kept for so long before, in a row of failures
 */
export function longestOrder(leftMs: number | undefined, hasOther: boolean, kept: number): number {
  const patientMs = hasOther ? Math.min(hour * 2 ** kept, 20 * hour) : 20 * hour;
  return Math.max(Math.min(patientMs, (leftMs ?? Number.POSITIVE_INFINITY) / 3), hour);
}

/** After the first, second, … failure in a row: a slip is mended soon, and what lasts is tried seldom. */
const pausesMs = [1, 10, 30, 60, 120].map((minutes) => minutes * minute);

/**
 * How long after a failure nothing is tried.
 *
 * @param failures in a row, from 1
 * @param saidMs what the authority asked for (Retry-After); more than a day isn't believed
 * @param chance from 0 to 1
 */
export function pauseAfter(failures: number, saidMs: number | undefined, chance: number): number {
  const own = pausesMs[Math.min(failures, pausesMs.length) - 1] ?? minute;
  return Math.max(own * (1 + chance / 5), Math.min(saidMs ?? 0, longestPauseMs));
}

/** The same for what passes by itself: an authority that is down, or a name that isn't in the DNS yet. */
export function stumblePause(stumbles: number, saidMs: number | undefined, chance: number): number {
  const own = Math.min(10_000 * 2 ** (stumbles - 1), hour);
  return Math.max(own * (1 + chance / 5), Math.min(saidMs ?? 0, longestPauseMs));
}
