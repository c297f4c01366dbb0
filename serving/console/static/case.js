// A case's page that is live: what is new appears by itself, and no form that somebody fills in is
// lost, sent on a case he was not told of, or moved from under his hands.

const AGAIN_S = 10;
const READ_S = 1.5; // a form takes the case's new version once the sentence could be read
const page = () => document.querySelector("#case");
const news = () => document.querySelector("#case-news");
const live = () => document.querySelector("#case-live");
const ours = (event) => event.detail.ctx?.sourceElement?.id === "case-live";

// --- the stream: it tells which mark the case bears now

let stream;
let over = false;
let busy = 0; // forms that are on their way
let wanted; // the mark last told
let renewing = false;

function say(word) {
  const wire = document.querySelector("#case-wire");
  if (!wire || wire.dataset.said === word) return;
  wire.dataset.said = word;
  wire.textContent = wire.dataset[word];
}

// a page that nobody looks at holds no connection: a browser has six to a host
function connect() {
  stream?.close();
  if (over || document.hidden || !news()) return;
  const { live: address, mark } = news().dataset;
  stream = new EventSource(`${address}?${new URLSearchParams({ seen: mark })}`);
  stream.onopen = () => say("live");
  stream.addEventListener("case", (event) => {
    wanted = event.data;
    renew();
  });
  for (const word of ["over", "gone"]) stream.addEventListener(word, () => end(word));
  stream.onerror = () => {
    if (over) return;
    say("lost");
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_S * 1_000);
  };
}

function end(word) {
  over = true;
  stream?.close();
  say(word);
  if (word === "gone") for (const form of forms()) ended(form, true);
}

function renew() {
  if (over || busy || renewing || document.hidden || !wanted) return;
  if (wanted !== news()?.dataset.mark) live()?.dispatchEvent(new CustomEvent("renew"));
  wanted = undefined;
}

document.addEventListener("visibilitychange", connect);
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => event.persisted && connect());

// --- forms somebody is at

const forms = () => [...document.querySelectorAll("#case [data-forms] form")];
const atWork = (form) => form.dataset.touched !== undefined || form.querySelector(":is(input, select, textarea):focus");
const versions = new Map(); // of the case as it is, for forms that do not have it yet
let reading;

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.closest("#case [data-forms]")) form.dataset.touched = "";
});
document.addEventListener("reset", (event) => delete event.target.dataset.touched);

// of a part in which a form has no place any more nothing is replaced
function protect(answer, sent) {
  for (const form of forms().filter((each) => each !== sent && atWork(each))) {
    const place = answer.getElementById(form.id);
    const kept = place ? form : form.closest("[data-forms]");
    kept.setAttribute("hx-morph-skip", "");
  }
  for (const form of forms().filter((each) => each.closest("[hx-morph-skip]"))) {
    const place = answer.getElementById(form.id);
    ended(form, !place);
    if (place) versions.set(form.id, place.elements.version.value);
  }
}

function release() {
  for (const each of document.querySelectorAll("#case :is([data-forms], form, #answers)[hx-morph-skip]")) each.removeAttribute("hx-morph-skip");
}

function adopt() {
  for (const [id, version] of versions) {
    const field = document.getElementById(id)?.elements.version;
    if (field) field.value = version;
  }
  versions.clear();
}

function ended(form, is) {
  const said = form.querySelector(".form-ended");
  if (!is) said?.remove();
  if (is && !said) {
    const words = document.querySelector("#form-ended").content.firstElementChild.cloneNode(true);
    words.classList.add("form-ended");
    form.prepend(words);
  }
  for (const each of form.elements) {
    // words that cannot be sent can still be copied
    if (each.matches("textarea, input[type=text], input[type=number]")) each.readOnly = is;
    else if (each.type !== "hidden") each.disabled = is;
  }
}

// --- what stands before the officer's eyes stays there

let held;

function hold() {
  const focused = document.activeElement?.closest?.("#case [data-forms] form") && document.activeElement;
  const inSight = (each) => each.getBoundingClientRect().top >= 0 && each.getBoundingClientRect().top < innerHeight;
  const what = focused || forms().find((each) => each.dataset.touched !== undefined && inSight(each))
    || (scrollY > 0 && [...page().querySelectorAll("section, li, h3")].find(inSight));
  held = what ? { what, top: what.getBoundingClientRect().top, focused: Boolean(focused) } : undefined;
}

function letGo() {
  if (!held?.what.isConnected) return;
  if (held.focused && document.activeElement !== held.what) held.what.focus({ preventScroll: true });
  const moved = held.what.getBoundingClientRect().top - held.top;
  if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
}

// --- around each swap

let sentOne;

const onCase = (event) => Boolean(event.detail.ctx.sourceElement?.closest?.("#case"));

document.addEventListener("htmx:before:request", (event) => {
  if (ours(event)) renewing = true;
  else if (onCase(event)) busy += 1;
});
document.addEventListener("htmx:finally:request", (event) => {
  if (ours(event)) renewing = false;
  else if (onCase(event)) busy = Math.max(0, busy - 1);
  renew(); // what was told meanwhile
});
document.addEventListener("htmx:config:request", (event) => {
  // a page that renews itself is nobody at work: the session's idle time runs on
  if (ours(event)) event.detail.ctx.request.headers["X-Renewal"] = "1";
});

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  sentOne = ours(event) ? undefined : ctx.sourceElement?.closest?.("form");
  protect(new DOMParser().parseFromString(ctx.text, "text/html"), sentOne);
  if (ours(event)) {
    document.querySelector("#answers")?.setAttribute("hx-morph-skip", "");
    hold();
  }
});

document.addEventListener("htmx:after:swap", (event) => {
  release();
  const kept = forms().some((form) => form.dataset.touched !== undefined);
  const told = document.querySelector("#news")?.textContent.trim();
  document.querySelector("#news-kept")?.toggleAttribute("hidden", !(kept && told));
  if (ours(event)) {
    clearTimeout(reading);
    reading = setTimeout(adopt, READ_S * 1_000);
    letGo();
  } else {
    adopt();
    if (!document.querySelector("#refused")) delete sentOne?.dataset.touched;
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("#news-seen")) return;
  live().elements.seen.value = news().dataset.mark;
  document.querySelector("#news").textContent = "";
  document.querySelector(".news").dataset.none = "";
  for (const each of document.querySelectorAll(".timeline .fresh")) each.classList.remove("fresh");
  document.querySelector("#main").focus({ preventScroll: true });
});

// a renewal that fails sends nobody away and hides nothing: the line at the top says so
for (const name of ["htmx:before:response", "htmx:error"]) {
  page()?.addEventListener(name, (event) => {
    if (!ours(event)) return;
    const { status, headers } = event.detail.ctx.response ?? {};
    if (name === "htmx:before:response" && headers?.get("content-type")?.startsWith("text/html") && status < 400) return;
    event.stopPropagation();
    event.preventDefault();
    if (status === 401) end("over");
    else if (status === 404) end("gone");
    else {
      say("busy");
      setTimeout(connect, AGAIN_S * 1_000); // it tells again what this page does not show yet
    }
  });
}

connect();
