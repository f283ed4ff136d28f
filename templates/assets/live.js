// Comfort only: the page is whole without it. Shows a moment in the reader's own zone on hover, and takes up a change
// of the page while it is open.
(() => {
  const own = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
  const name = () => {
    for (const time of document.querySelectorAll("time[datetime*=T]"))
      time.title = `${own.format(new Date(time.dateTime))} (your time)`;
  };
  const main = document.querySelector("main");
  const live = main.querySelector("[aria-live]");
  let shown = main.innerHTML;
  let said = live?.innerHTML;
  name();
  if (!live) return;

  const note = document.createElement("p");
  note.className = "stale";
  note.setAttribute("role", "status");
  main.before(note);
  const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long", hour: "2-digit", minute: "2-digit" });
  let refreshedAt = Date.now();
  /** Whoever leaves the page open must not take an old state for the present one. One failure is no news, so it waits. */
  const sayHowOld = () => {
    const isOld = Date.now() - refreshedAt > 150_000;
    const words = isOld
      ? `This page hasn’t been refreshed since ${weekday.format(refreshedAt)}, because it can’t be reached. It may be out of date.`
      : "";
    if (note.textContent !== words) note.textContent = words;
  };

  const nameOf = (element) =>
    element.id || element.getAttribute("href") || (element.querySelector("h2") ?? element).textContent;
  // What the reader folds or unfolds stays so.
  const folded = new Map();
  main.addEventListener("click", ({ target }) => {
    const summary = target.closest("summary");
    if (summary) folded.set(nameOf(summary), summary.parentNode.open);
  });
  const refold = () => {
    for (const details of main.querySelectorAll("details")) {
      const wasOpen = folded.get(nameOf(details.firstElementChild));
      if (wasOpen !== undefined) details.open = !wasOpen;
    }
  };

  const take = (fresh) => {
    const freshLive = fresh.querySelector("main [aria-live]");
    const focused = main.contains(document.activeElement) && nameOf(document.activeElement);
    const { scrollX, scrollY } = window;
    document.title = fresh.title;
    document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
    // Changed in place, so that a screen reader announces the sentence, and only where it changed; the rest is swapped
    // around it.
    const freshlySaid = freshLive.innerHTML;
    if (freshlySaid !== said) live.innerHTML = freshlySaid;
    said = freshlySaid;
    live.parentNode.className = freshLive.parentNode.className;
    while (live.nextSibling) live.nextSibling.remove();
    while (freshLive.nextSibling) live.parentNode.append(freshLive.nextSibling);
    name();
    refold();
    const again = focused && [...main.querySelectorAll("a, summary")].find((element) => nameOf(element) === focused);
    if (again) again.focus({ preventScroll: true });
    scrollTo(scrollX, scrollY);
  };
  const look = async () => {
    try {
      const answer = await fetch(location.pathname, { cache: "no-cache" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = fresh.querySelector("main").innerHTML;
      if (now !== shown) take(fresh);
      shown = now;
      refreshedAt = Date.now();
    } catch {
      // Out of reach for now: what is shown stays shown.
    }
    sayHowOld();
  };
  void look();
  // In the background nobody reads, but the tab's name and icon tell: every fifth minute is enough for them.
  let minutes = 0;
  setInterval(() => {
    minutes += 1;
    if (document.visibilityState === "visible" || minutes % 5 === 0) void look();
  }, 60_000);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void look();
  });
  addEventListener("online", look);
})();
