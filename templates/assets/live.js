// Comfort only: the page is whole without it. Shows a moment in the reader's own zone on hover, and takes up a change
// of the page while it is open.
(() => {
  const own = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
  const name = () => {
    for (const time of document.querySelectorAll("time[datetime*=T]"))
      time.title = `${own.format(new Date(time.dateTime))} (your time)`;
  };
  name();
  let known;
  const look = async () => {
    if (document.visibilityState !== "visible" || location.pathname !== "/") return;
    try {
      const answer = await fetch(location.pathname, { cache: "no-cache" });
      const tag = answer.headers.get("etag");
      if (answer.ok && known && tag !== known) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.title = fresh.title;
        const state = document.querySelector(".state");
        const freshState = fresh.querySelector(".state");
        // Changed in place, so that a screen reader announces the sentence; the rest is swapped around it.
        state.innerHTML = freshState.innerHTML;
        while (state.nextSibling) state.nextSibling.remove();
        while (freshState.nextSibling) state.parentNode.append(freshState.nextSibling);
        name();
      }
      known = tag;
    } catch {
      // Out of reach for now: what is shown stays shown.
    }
  };
  void look();
  setInterval(look, 60_000);
  document.addEventListener("visibilitychange", look);
})();
