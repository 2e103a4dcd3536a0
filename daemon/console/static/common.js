"use strict";
// What all pages share: the stream of news, and whether it is there; and how a page asks for a change.
const news = new EventTarget();
const by = (id) => document.getElementById(id);
const link = by("link");
async function get(path) {
  const reply = await fetch(path, { headers: { Accept: "application/json" } });
  if (reply.ok) return reply.json();
  throw Object.assign(new Error(_("The console answers {status} {text}: log in again, or try later.", { status: reply.status, text: reply.statusText })), { status: reply.status });
}
// Kept for ever by browsers: the time tells the frame from that of another line that had this number.
const imageOf = (frame, kind) => `frames/${frame.seq}/${kind}.jpg?judged=${frame.judged_ms}`;
const tellIn = (id, text, trouble) => { by(id).textContent = text; by(id).className = trouble ? "told trouble" : "told"; };
const two = (number) => String(number).padStart(2, "0");
// All times are those of the browser's clock, to the minute.
const clock = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// Ask for a change. Throws an Error that people can read, with the answer's status where there was one.
async function act(path, body, method = "POST") {
  const headers = body instanceof Blob || body === undefined ? {} : { "Content-Type": "application/json" };
  const sent = body instanceof Blob || body === undefined ? body : JSON.stringify(body);
  let reply;
  for (;;) {
    try {
      reply = await fetch(path, { method, headers, body: sent });
    } catch {
      throw new Error(_("No connection to the console."));
    }
    if (reply.status !== 429) break;
    await wait(1000 * Number(reply.headers.get("Retry-After") ?? 1));
  }
  const said = await reply.json().catch(() => ({}));
  if (reply.ok) return said;
  const why = said.came ? _("{came}. To do: {what}", { came: said.came, what: said.do }) : typeof said.detail === "string" ? said.detail : reply.statusText;
  throw Object.assign(new Error(why), { status: reply.status, kind: said.kind, expected: said.expected, came: said.came });
}

// What is told on a page once it is drawn anew.
function toldAnew(text) {
  sessionStorage.setItem("told", text);
  location.reload();
}
function toldBefore() {
  tellIn("told", sessionStorage.getItem("told") ?? "");
  sessionStorage.removeItem("told");
}

// Whether the reader means it: the page's dialog asks.
function sure(text) {
  const dialog = by("sure");
  if (text) by("sure-told").textContent = text;
  dialog.returnValue = ""; // Escape leaves what was chosen the last time
  dialog.showModal();
  return new Promise((answered) => dialog.addEventListener("close", () => answered(dialog.returnValue === "yes"), { once: true }));
}

// By it an answer counts once, however often it is sent. A page that came without TLS has no randomUUID.
const newKey = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

// What an answer that was refused says.
const reason = (error) => (error.expected ? _("Expected {expected}; came {came}", { expected: error.expected, came: error.message }) : error.message);

// How far work is, and how long its step may still take.
let stepBegan = { step: "", at: 0 };
function howFar(work) {
  if (work.step !== stepBegan.step || work.done === 0) stepBegan = { step: work.step, at: Date.now() };
  const left_s = work.done ? ((Date.now() - stepBegan.at) * (work.of - work.done)) / work.done / 1000 : 0;
  const values = { step: work.step || _("loading the backbone"), some: work.done, all: work.of, seconds: Math.round(left_s) };
  return left_s >= 2 ? _("{step}: {some} of {all}, about {seconds} s left", values) : _("{step}: {some} of {all}", values);
}

// Follow what the console works at until it has ended.
async function followed(show) {
  for (;;) {
    const told = await get("api/work").catch(() => null);
    if (told) {
      show(told.work);
      if (!told.work || told.work.ended) return told;
    }
    await wait(400);
  }
}

// What is shown while nothing is heard may be long over, so it turns grey.
function connected(is) {
  link.textContent = is ? _("live") : _("no connection, trying again");
  link.className = is ? "link on" : "link off";
  document.body.classList.toggle("stale", !is);
}

const AGAIN_MS = 5000;
const SILENT_MS = 10000; // the status comes every two seconds
let source = null;
let silence;
let later;

function stop() {
  clearTimeout(silence);
  clearTimeout(later);
  source?.close();
  source = null;
}

function anew() {
  stop();
  connected(false);
  later = setTimeout(listen, AGAIN_MS);
}

function heard() {
  clearTimeout(silence);
  silence = setTimeout(anew, SILENT_MS);
}

function listen() {
  stop();
  if (document.hidden) return; // a browser holds six connections to a server, for all its pages together
  const opened = new EventSource("events");
  let back = false;
  source = opened;
  opened.onopen = () => { back = false; connected(true); heard(); };
  opened.onerror = () => {
    clearTimeout(silence);
    connected(false);
    if (opened.readyState === EventSource.CLOSED) anew(); // refused: a browser leaves it at that
  };
  for (const kind of ["frame", "status"]) {
    opened.addEventListener(kind, (event) => { heard(); news.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data) })); });
  }
  // Not when it opens: only what is judged after the first status is sure to come as news, so a list is read after it.
  opened.addEventListener("status", () => { if (!back) news.dispatchEvent(new Event("back")); back = true; });
}
document.addEventListener("visibilitychange", listen);

function tile(frame, kind) {
  const item = document.createElement("li");
  item.className = frame.verdict;
  item.dataset.frame = frame.frame_id;
  const image = document.createElement("img");
  image.src = imageOf(frame, kind);
  image.alt = "";
  image.loading = "lazy";
  image.onerror = () => image.remove();
  const name = document.createElement("span");
  name.textContent = `${VERDICTS[frame.verdict]} ${frame.part_id}`;
  item.append(image, name);
  return item;
}

// Pictures that are not kept any more leave their place empty.
function withoutBroken() {
  for (const image of document.querySelectorAll(".many img")) {
    const gone = () => image.classList.add("gone");
    if (image.complete && !image.naturalWidth) gone();
    image.addEventListener("error", gone);
  }
}

for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  time.textContent = clock(new Date(time.dateTime));
}
for (const label of document.querySelectorAll("[data-ms]")) label.textContent = clock(new Date(Number(label.dataset.ms)));
by("logout")?.addEventListener("click", () => act("logout").finally(() => location.assign("login")));
listen();
