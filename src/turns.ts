/**
 * Background work waits in one line, from which a piece is taken when the event loop comes round. Whoever waits for an
 * answer is served between any two pieces: the longest pause is the longest piece. While pages are asked for without a
 * break, four fifths of the time go to them; else all of it goes to the work.
 */
const line: { work: () => void; notBefore: number }[] = [];
/** How many times as long as a piece took others are served before the next. */
const others = 4;
/** In milliseconds: where nobody asked for so long, there is a break. */
const breakMs = 0.5;

/** Rounds of the event loop since there was work. */
let round = 0;
let called = false;
let inPiece = false;
/** In milliseconds of performance.now(), as the two below. */
let beganAt = 0;
let restUntil = 0;
let askedAt = Number.NEGATIVE_INFINITY;

/** Somebody asks for something, and background work takes its time. */
export function giveWay(): void {
  askedAt = performance.now();
}

/** `work` handles its own errors: nobody else is there to. */
export function takeTurn(work: () => void): void {
  // Whoever is served right now asks for a turn after all that wait at this moment, who are served in the next round.
  line.push({ work, notBefore: round + (inPiece ? 1 : 2) });
  call();
}

/** For work that goes on: resolves when it is its turn, after everybody who waited was served. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => takeTurn(resolve));
}

function call(): void {
  if (called || line.length === 0) return;
  called = true;
  // Both come in one round; what a piece resolves goes on between them.
  setImmediate(comeRound);
  setImmediate(endRound);
}

function comeRound(): void {
  round += 1;
  const now = performance.now();
  if (now < restUntil && now - askedAt < breakMs) return;
  const [next] = line;
  if (!next || next.notBefore > round) return;
  line.shift();
  beganAt = now;
  inPiece = true;
  next.work();
}

function endRound(): void {
  called = false;
  if (inPiece) {
    const now = performance.now();
    restUntil = now + others * (now - beganAt);
  }
  inPiece = false;
  call();
}
