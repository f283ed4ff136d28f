// Comfort only: the page is whole without it. Shows moments in the reader's own zone, says what a bar of the
// last days means under pointer and finger, and takes up a change of the page while it is open.
(() => {
  // Where the reader's clock shows another hour than the page's, moments are said by the reader's, with the name that the
  // zone has in the reader's language; what the page said stays as a title. What people wrote in updates is theirs.
  const zone = document.querySelector("[data-zone]");
  const clock = (timeZone) => new Intl.DateTimeFormat("en-GB", { dateStyle: "short", timeStyle: "short", timeZone });
  const shape = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
  const own = new Intl.DateTimeFormat("en-GB", shape);
  const ownWithDay = new Intl.DateTimeFormat("en-GB", { weekday: "short", ...shape });
  const ownDay = new Intl.DateTimeFormat("en-GB", { dateStyle: "short" });
  const ownHour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const ownZone = new Intl.DateTimeFormat(undefined, { hour: "2-digit", timeZoneName: "short" });
  const tellTimes = () => {
    if (!zone) return;
    let here;
    let there;
    try {
      [here, there] = [clock(), clock(zone.dataset.zone)];
    } catch {
      // A zone that this browser doesn't know: the page's own times are right as well.
      return;
    }
    let differs = false;
    for (const time of main.querySelectorAll("time[datetime*=T]")) {
      const at = new Date(time.dateTime);
      if (here.format(at) === there.format(at)) continue;
      differs = true;
      time.title = `${there.format(at)}, ${zone.dataset.zone}`;
      const zoneName = ownZone.formatToParts(at).find((part) => part.type === "timeZoneName").value;
      // Hours that are planned say their day of the week, and one date and one zone where one will do.
      const planned = time.closest("[data-planned]");
      const [from, until] = planned ? planned.querySelectorAll("time") : [];
      const dayAt = (other) => ownDay.format(new Date(other.dateTime));
      const isOneDay = planned && dayAt(from) === dayAt(until);
      const form = !planned ? own : isOneDay && time === until ? ownHour : ownWithDay;
      const moment = form.format(at).replace(/^(\p{L}+),/u, "$1");
      const words = isOneDay && time === from ? moment : `${moment} ${zoneName}`;
      // Set only where it differs, or a screen reader would say the sentence again.
      if (time.textContent !== words) time.textContent = words;
    }
    if (differs)
      zone.textContent = `Times are in your own zone; this page’s is ${zone.dataset.zone.replaceAll("_", " ")}.`;
  };
  const main = document.querySelector("main");
  const live = main.querySelector("[aria-live]");
  let shown = main.innerHTML;
  let said = live?.innerHTML;
  tellTimes();

  // Without this script each bar has a title, which a finger can't reach and which says nothing of quiet days.
  const tip = document.createElement("p");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  let pinned = false;
  const hideTip = () => {
    tip.hidden = true;
    pinned = false;
  };
  const takeTitles = () => {
    for (const title of main.querySelectorAll(".strip title")) {
      title.parentNode.dataset.said = title.textContent;
      title.remove();
    }
  };
  const days = 90;
  const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const showTip = (strip, x, reach) => {
    const box = strip.getBoundingClientRect();
    const pointed = ((x - box.left) / box.width) * days;
    const indexOf = (bar) => Number.parseInt(bar.getAttribute("d").slice(1), 10) / 5;
    const away = (bar) => Math.abs(indexOf(bar) + 0.5 - pointed);
    // Bars are narrow: whoever points beside one means it.
    const [near] = [...strip.querySelectorAll("path")].sort((a, b) => away(a) - away(b));
    const bar = near && (away(near) - 0.5) * (box.width / days) < reach ? near : undefined;
    const index = bar ? indexOf(bar) : Math.min(days - 1, Math.max(0, Math.floor(pointed)));
    const { today, firstMonth } = strip.closest("[data-today]").dataset;
    const date = new Date(Date.parse(today) - (days - 1 - index) * 86_400_000);
    const isKnown = index >= Number(strip.querySelector(".quiet").getAttribute("x")) / 5;
    tip.textContent =
      bar?.dataset.said ?? `${dayOf.format(date)}: ${isKnown ? "no trouble" : "before the history begins"}`;
    const day = date.toISOString().slice(0, 10);
    if (bar && day.slice(0, 7) >= firstMonth) {
      const link = document.createElement("a");
      link.href = `/history/${day.slice(0, 7)}#${day}`;
      link.textContent = "What happened";
      tip.append(" ", link);
    }
    tip.hidden = false;
    tip.style.left = "0";
    const middle = box.left + ((index + 0.5) / days) * box.width - tip.offsetWidth / 2;
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(middle, right)) + scrollX}px`;
    tip.style.top = `${box.bottom + scrollY}px`;
  };
  takeTitles();
  document.addEventListener("pointermove", ({ target, clientX, pointerType }) => {
    if (pinned || pointerType !== "mouse") return;
    const strip = target.closest(".strip");
    if (strip) showTip(strip, clientX, 2);
    else if (!tip.contains(target)) hideTip();
  });
  // On main and not on the document: there Safari on a phone makes no click of a tap on a drawing.
  main.addEventListener("click", ({ target, clientX }) => {
    const strip = target.closest(".strip");
    if (strip) showTip(strip, clientX, 12);
    pinned = Boolean(strip);
  });
  document.addEventListener("click", ({ target }) => {
    if (!target.closest(".strip") && !tip.contains(target)) hideTip();
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") hideTip();
  });
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
    tellTimes();
    hideTip();
    takeTitles();
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
