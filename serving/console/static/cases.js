// What htmx cannot do for the pages of cases: news, a clock that runs, keys, where the focus goes.

const field = (target) => target.closest?.("input, textarea, select, [contenteditable]");
const shift = () => document.querySelector("#shift");

// --- news: a stream tells that something changed, htmx fetches the list

const wire = document.querySelector("#wire");
const news = document.querySelector("#news");
const POLL_S = 20;
const EVERY_S = 60; // minutes run down although nothing happens
const AGAIN_S = 10;
let stream;
let alive = false;
let over = false;
let renewed = Date.now();
let took = 0;
let due;

function say(word) {
  if (wire && wire.dataset.said !== word) {
    wire.dataset.said = word;
    wire.textContent = wire.dataset[word];
    wire.classList.toggle("lost", word !== "live");
  }
}

function connect() {
  stream?.close();
  stream = new EventSource("/console/shift/live");
  stream.onopen = () => {
    alive = true;
    say("live");
    renewSoon(0);
  };
  stream.addEventListener("cases", () => renewSoon(0));
  stream.addEventListener("over", () => end());
  stream.onerror = () => {
    alive = false;
    if (over) return;
    say("lost");
    // refused for good (busy, restarting): the browser does not come back by itself
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_S * 1_000);
  };
}

function end() {
  over = true;
  alive = false;
  stream?.close();
  say("over");
}

// a list that took long to make is not asked for again at once: five times as long lies between
function renewSoon(after_s) {
  if (over || due || !shift()) return;
  const wait = Math.max(after_s * 1_000, 5 * took - (Date.now() - renewed));
  due = setTimeout(renew, Math.max(0, wait));
}

function renew() {
  due = undefined;
  if (document.hidden || over) return;
  renewed = Date.now();
  shift()?.dispatchEvent(new CustomEvent("renew"));
}

// a list that renews itself is nobody at work: the session's idle time runs on
document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, request } = event.detail.ctx;
  if (sourceElement?.id === "shift") request.headers["X-Renewal"] = "1";
});

if (wire) {
  connect();
  setInterval(() => {
    const passed = (Date.now() - renewed) / 1_000;
    if (passed >= (alive ? EVERY_S : POLL_S)) renewSoon(0);
  }, 1_000);
  document.addEventListener("visibilitychange", () => renewSoon(0));
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
}

// --- what was open, ticked and looked at stays so when the list is renewed

let open = new Set();
let known = new Set(lines());
let was;

function lines() {
  return [...document.querySelectorAll("#shift tbody tr")].map((row) => row.id);
}

document.addEventListener("htmx:before:swap", () => {
  open = new Set([...document.querySelectorAll("main details[open]")].map((each) => each.id));
  was = document.activeElement?.id;
});

document.addEventListener("htmx:after:swap", (event) => {
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (was && document.activeElement === document.body) document.getElementById(was)?.focus({ preventScroll: true });
  const from = event.detail.ctx.sourceElement?.id;
  if (from === "shift") listRenewed();
  else if (from === "case-live") askAll();
  else formAnswered();
  count();
});

function listRenewed() {
  took = Date.now() - renewed;
  const now = lines();
  const fresh = now.filter((id) => !known.has(id));
  for (const id of fresh) document.getElementById(id)?.classList.add("fresh");
  if (fresh.length) news.textContent = news.dataset.new.replace("{n}", fresh.length);
  known = new Set([...known, ...now]);
  if (alive) say("live");
}

// --- after a form: its fields are empty if it was done; the answer is read out

function formAnswered() {
  const told = document.querySelector("#told");
  if (told?.dataset.deed) document.querySelector(`form[data-deed="${told.dataset.deed}"]`)?.reset();
  askAll();
  const answer = document.querySelector("#refused") ?? told;
  answer?.focus();
  answer?.scrollIntoView({ block: "nearest" });
}

// --- a session that is over: console.js goes to sign in; what was typed is here when he is back

const lost = document.querySelector("#lost");
const KEPT = "forewarn.kept-forms";
const written = () => [...document.querySelectorAll("main .form :is(input, select, textarea):not([type=hidden])")];
const name = (each) => `${each.form.id}/${each.name}/${each.type === "radio" ? each.value : ""}`;

function keep(signedOut) {
  const words = written().map((each) => [name(each), each.type === "radio" ? each.checked : each.value]);
  sessionStorage.setItem(KEPT, JSON.stringify({ path: location.pathname, words, signedOut }));
}

function restore() {
  const { path, words, signedOut } = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  if (path !== location.pathname) return;
  sessionStorage.removeItem(KEPT);
  const found = new Map(words);
  const changed = written().filter((each) => put(each, found.get(name(each))));
  for (const each of changed) each.closest("details")?.setAttribute("open", "");
  for (const each of changed) each.form.dataset.touched = "";
  if (changed.length && signedOut) {
    const said = document.querySelector("#case").dataset.back;
    const told = Object.assign(document.createElement("p"), { className: "told", id: "back-again", textContent: said });
    told.setAttribute("role", "status");
    document.querySelector("#case").prepend(told);
  }
}

function put(each, value) {
  const part = each.type === "radio" ? "checked" : "value";
  if (value === undefined || each[part] === value) return false;
  if (each.options && ![...each.options].some((one) => one.value === value)) return false;
  each[part] = value;
  return true;
}

document.addEventListener("htmx:before:response", (event) => {
  const { status, headers } = event.detail.ctx.response;
  if (status === 401) {
    end();
    keep(true);
  } else if (event.detail.ctx.sourceElement?.id === "shift" && !headers.get("content-type")?.startsWith("text/html")) {
    lost.hidden = true;
    say("busy");
  }
});
document.querySelector("[data-language]").addEventListener("submit", () => keep(false));
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.sourceElement?.id !== "shift") return;
  lost.hidden = true; // the line at the top says it
  say("lost");
});

// --- ticked cases are counted

const ticks = () => [...document.querySelectorAll("#shift input[name=case]")];

function count() {
  const told = document.querySelector("#ticked");
  const ticked = ticks().filter((each) => each.checked).length;
  if (told) told.textContent = ticked ? told.dataset.text.replace("{n}", ticked) : "";
}

document.addEventListener("change", (event) => {
  if (event.target.name === "case") count();
  const paid = event.target.closest?.("form")?.querySelector("[data-when-paid]");
  if (event.target.name === "outcome" && paid) ask(paid, event.target.value === "paid");
});

function ask(loss, isPaid) {
  loss.hidden = !isPaid;
  loss.querySelector("input").required = isPaid;
}

function askAll() {
  for (const loss of document.querySelectorAll("[data-when-paid]")) {
    ask(loss, loss.closest("form").querySelector("[name=outcome]:checked")?.value === "paid");
  }
}

restore();
askAll();

// --- minutes run down

setInterval(() => {
  for (const each of document.querySelectorAll("[data-due]")) {
    const left = Math.floor((Date.parse(each.dataset.due) - Date.now()) / 60_000);
    const inHours = Math.abs(left) >= 180;
    const words = each.dataset[(left < 0 ? "late" : "left") + (inHours ? "H" : "")];
    const text = words.replace("{n}", Math.floor(Math.abs(left) / (inHours ? 60 : 1)));
    if (each.textContent !== text) each.textContent = text;
    each.classList.toggle("late", left < 0);
    each.classList.toggle("soon", left >= 0 && left <= 15);
  }
}, 5_000);

// --- keys

const single = document.querySelector("#single-keys");
const TO = { a: "#attempt", o: "#outcome", w: "#back", r: "#requests" };

document.addEventListener("keydown", (event) => {
  const held = event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
  if (held || event.defaultPrevented || document.querySelector("dialog[open]") || !single.checked) return;
  if (field(event.target) && !event.target.matches("#shift input[name=case]")) return;
  if (done(event.key.toLowerCase())) event.preventDefault();
});

function done(key) {
  if (key === "n") return press(document.querySelector("#next-case button"));
  if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
  if (key === "x") return press(document.activeElement.closest?.("tr")?.querySelector("input[name=case]"));
  return TO[key] !== undefined && go(document.querySelector(TO[key]));
}

function press(what) {
  what?.click();
  return Boolean(what);
}


function step(by) {
  const links = [...document.querySelectorAll("#shift tbody th a")];
  if (!links.length) return false;
  const here = links.indexOf(document.activeElement.closest?.("tr")?.querySelector("th a"));
  links[Math.min(links.length - 1, Math.max(0, here + by))].focus();
  return true;
}

function go(part) {
  if (!part) return false;
  if (part.matches("details")) part.open = true;
  if (part.matches("a")) part.click();
  else part.querySelector("input:not([type=hidden]), select, textarea, button, summary")?.focus();
  return true;
}
