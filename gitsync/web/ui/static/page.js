// Makes pages live, and gives them keys. They are complete without it.

const main = () => document.getElementById("main");
const live = document.getElementById("live");
let fetching = false;
let again = false;

function tell(text, state) {
  live.textContent = text;
  live.dataset.state = state;
}

// Puts the new page's parts in the place of those that differ; what has the focus or is open stays so.
function adopt(fresh) {
  const old = main();
  if (!fresh || !old) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((item) => item.id));
  const closed = new Set([...old.querySelectorAll("details:not([open])[id]")].map((item) => item.id));
  const focus = document.activeElement?.getAttribute("href") ?? document.activeElement?.id;
  for (const item of fresh.querySelectorAll("details[id]")) {
    if (open.has(item.id)) item.open = true;
    if (closed.has(item.id)) item.open = false;
  }
  merge(old, fresh);
  old.dataset.version = fresh.dataset.version;
  old.dataset.refresh = fresh.dataset.refresh ?? "";
  if (focus && !old.contains(document.activeElement) && document.activeElement === document.body) {
    const found = [...old.querySelectorAll("a, input, summary")].find((item) => item.getAttribute("href") === focus || item.id === focus);
    found?.focus({ preventScroll: true });
  }
}

function merge(old, fresh) {
  const before = [...old.children];
  const after = [...fresh.children];
  if (before.length !== after.length || before.some((item, number) => item.tagName !== after[number].tagName)) {
    old.replaceChildren(...after);
    return;
  }
  before.forEach((item, number) => {
    const next = after[number];
    if (item.outerHTML === next.outerHTML || item.contains(document.activeElement) && item.tagName === "FORM") return;
    if (item.tagName === "SECTION") merge(item, next);
    else item.replaceWith(next);
  });
}

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    do {
      again = false;
      const address = new URL(location.href);
      address.searchParams.delete("done");
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (answer.status === 403) {
        tell("signed out: open the printed address", "bad");
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      adopt(page.getElementById("main"));
      ages();
    } while (again);
  } catch {
    tell("no answer", "bad");
  } finally {
    fetching = false;
  }
}

// A browser opens six connections to one address: a page that nobody sees gives its own back.
let changes = null;

function follow() {
  changes?.close();
  changes = null;
  if (document.hidden) return;
  changes = new EventSource("/changes");
  changes.addEventListener("version", (event) => {
    tell("live", "good");
    if (event.data !== main()?.dataset.version) refresh();
  });
  changes.addEventListener("change", refresh);
  changes.onerror = () => tell("not connected", "bad");
}

// "3m" goes on as kubectl shows ages.
function ages() {
  for (const item of document.querySelectorAll("time[datetime]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(item.dateTime)) / 1000));
    if (!Number.isNaN(seconds)) item.textContent = age(seconds);
  }
}

function age(s) {
  const m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
  const two = (a, u, b, v) => `${a}${u}` + (b ? `${b}${v}` : "");
  if (s < 120) return `${s}s`;
  if (m < 10) return two(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  if (h < 8) return two(h, "h", m % 60, "m");
  if (h < 48) return `${h}h`;
  if (d < 8) return two(d, "d", h % 24, "h");
  return d < 730 ? `${d}d` : `${Math.floor(d / 365)}y`;
}

function move(step) {
  const rows = [...document.querySelectorAll("main [data-row] a.go")].filter((item) => item.offsetParent !== null);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

const goes = { o: "/", r: "/releases", k: "/kustomizations", s: "/sources", g: "/graph", c: "/commits", p: "/pending" };
let prefix = false;

document.addEventListener("keydown", (event) => {
  const help = document.getElementById("keys");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (help.open) return;
  const goal = prefix && goes[event.key];
  if (goal && document.querySelector(`header a[href="${goal}"]`)) return location.assign(goal);
  prefix = event.key === "g";
  if (event.key === "/") document.getElementById("search").focus();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") help.showModal();
  else return;
  event.preventDefault();
});

document.getElementById("help").addEventListener("click", () => document.getElementById("keys").showModal());
setInterval(ages, 1000);
// What is not watched (pods, Events, time that goes by) is looked at again while somebody sees it.
let waited = 0;
setInterval(() => {
  const pause = Number(main()?.dataset.refresh);
  if (!pause || document.hidden || ++waited < pause) return;
  waited = 0;
  refresh();
}, 1000);
document.addEventListener("visibilitychange", follow);
follow();
