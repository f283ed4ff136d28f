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
  name();
  if (!live) return;

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
    // Changed in place, so that a screen reader announces the sentence; the rest is swapped around it.
    live.innerHTML = freshLive.innerHTML;
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
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(location.pathname, { cache: "no-cache" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = fresh.querySelector("main").innerHTML;
      if (now !== shown) take(fresh);
      shown = now;
    } catch {
      // Out of reach for now: what is shown stays shown.
    }
  };
  void look();
  setInterval(look, 60_000);
  document.addEventListener("visibilitychange", look);
})();
