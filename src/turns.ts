/**
 * Background work waits in one line, from which a piece is taken each time the event loop comes round. So whoever waits
 * for a page is served between any two pieces, and the longest pause is the longest piece.
 */
const line: (() => void)[] = [];
let called = false;

/** `work` handles its own errors: nobody else is there to. */
export function takeTurn(work: () => void): void {
  line.push(work);
  call();
}

/** For work that goes on: resolves when it is its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => takeTurn(resolve));
}

function call(): void {
  if (called || line.length === 0) return;
  called = true;
  setImmediate(() => {
    called = false;
    const work = line.shift();
    call();
    work?.();
  });
}
