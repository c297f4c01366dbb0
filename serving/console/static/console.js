// What every page shares: keys, the language switch, a word when an answer is lost.

const field = (target) => target.closest?.("input, textarea, select, [contenteditable]");

// --- keys: single ones can be switched off (WCAG 2.1.4)

const KEPT_KEYS = "forewarn.single-keys";
const PLACES = { f: "#choices select", t: "#board tbody a", m: "#map canvas", p: "#stations" };
const dialog = document.querySelector("#shortcuts");
const tick = document.querySelector("#single-keys");

tick.checked = localStorage.getItem(KEPT_KEYS) !== "off";
tick.addEventListener("change", () => localStorage.setItem(KEPT_KEYS, tick.checked ? "on" : "off"));

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-open=shortcuts]")) dialog.showModal();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
  if (event.key === "Escape") return document.querySelector("#cell-close")?.click();
  if (moved(event) || field(event.target) || !tick.checked) return;
  if (event.key === "?") dialog.showModal();
  else if (event.key === "l") document.querySelector("[data-language] button").click();
  else if (PLACES[event.key]) document.querySelector(PLACES[event.key])?.focus();
  else return;
  event.preventDefault();
});

// arrows go from row to row of a list
function moved(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const list = step && event.target.closest?.("tbody");
  if (!list) return false;
  const links = [...list.querySelectorAll("a")];
  links[links.indexOf(event.target) + step]?.focus();
  event.preventDefault();
  return true;
}

// --- what was typed outlives a change of the language

const KEPT_WORDS = "forewarn.kept";
const kept = () => [...document.querySelectorAll("[data-keep]")];

const here = () => location.pathname + location.search;

document.querySelector("[data-language]").addEventListener("submit", (event) => {
  event.target.elements.back.value = here();
  keep();
});

function keep() {
  const words = Object.fromEntries(kept().map((each) => [each.name, each.value]));
  const planned = document.querySelector("#plan-drawn") !== null;
  sessionStorage.setItem(KEPT_WORDS, JSON.stringify({ words, planned, at: scrollY }));
}

function restore() {
  const found = sessionStorage.getItem(KEPT_WORDS);
  sessionStorage.removeItem(KEPT_WORDS);
  if (!found) return;
  const { words, planned, at } = JSON.parse(found);
  for (const each of kept()) each.value = words[each.name] ?? each.value;
  scrollTo(0, at);
  if (planned) document.querySelector("#plan-form")?.requestSubmit();
}

// only once htmx listens to the form, or the whole page would be sent
document.addEventListener("htmx:after:process", restore, { once: true });

// --- every deed brings back the session's token

const token = document.querySelector("meta[name=csrf-token]").content;

document.addEventListener("htmx:config:request", (event) => {
  if (token) event.detail.ctx.request.headers["X-CSRF-Token"] = token;
});

// --- an answer that is no page of ours (the service is busy, away, restarting) replaces nothing

const lost = document.querySelector("#lost");

function tell(isLost) {
  lost.hidden = !isLost;
  lost.textContent = isLost ? lost.dataset.text : "";
}

document.addEventListener("htmx:before:response", (event) => {
  if (event.detail.ctx.response.status === 401) {
    // the session is over: sign in, come back, and find what was typed
    event.preventDefault();
    keep();
    location.assign(`/console/sign-in?${new URLSearchParams({ back: here() })}`);
    return;
  }
  const page = event.detail.ctx.response.headers.get("content-type")?.startsWith("text/html");
  tell(!page);
  if (!page) event.preventDefault();
});
document.addEventListener("htmx:error", () => tell(true));

// --- a link may fill the sign-in form; what stands after # never leaves the browser

const door = document.querySelector("form[action='/console/sign-in']");

if (door && location.hash) {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const part = ["name", "password"].includes(name) && door.elements[name];
    if (part) part.value = value;
  }
  history.replaceState(null, "", location.pathname + location.search);
  door.querySelector("button").focus();
}

// --- where the focus goes after a part of the page was replaced

let looked = document.querySelector("#explanation[data-cell]")?.dataset.cell;

document.addEventListener("htmx:after:swap", (event) => {
  const shown = document.querySelector("#explanation")?.dataset.cell;
  mark(shown);
  const target = event.detail.ctx.target;
  const id = (typeof target === "string" ? target.slice(1) : target?.id) ?? "";
  if (id === "explanation") turnTo(shown ? "#cell-title" : `a[data-cell="${looked}"]`);
  if (id === "plan-result") turnTo("#plan-made-title, #plan-result .problem");
  looked = shown ?? looked;
});

function mark(cell) {
  for (const link of document.querySelectorAll("#board a[data-cell]")) {
    const chosen = link.dataset.cell === cell;
    link.closest("tr").classList.toggle("chosen", chosen);
    chosen ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }
}

function turnTo(selector) {
  const found = document.querySelector(selector);
  if (!found) return;
  if (!found.matches("a")) found.tabIndex = -1;
  found.focus();
}
