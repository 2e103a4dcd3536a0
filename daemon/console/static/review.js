"use strict";
// Answers with one key each. They wait a moment, so that U takes one back, and are kept through a lost connection:
// each has a key of its own, so sending it again counts once.
const HELD_MS = 4000;
const LOOK_MS = 500;
const MOST_MS = 999999999; // as the API takes it
const KEPT = `driftline-answers-${document.body.dataset.line}-${document.body.dataset.caller}`; // another's answers are not ours
let queue = [];
let chosen = new Set();
let region = null;
let kind = "heat"; // of the image on the stage
let filled = false;
let shown = null; // the part on the stage, and since when
let unsent = JSON.parse(localStorage.getItem(KEPT) ?? "[]");

const JSON_BODY = { "Content-Type": "application/json" };
const bodyOf = ({ frame, verdict, region, key, looked_ms }) => JSON.stringify({ frame_id: frame.frame_id, verdict, region, key, looked_ms });
const keep = () => localStorage.setItem(KEPT, JSON.stringify(unsent));
const tell = (text, trouble) => tellIn("told", text, trouble);
const current = () => queue[0];
const held = () => unsent.filter((answer) => !answer.sending && !answer.left);
const mayAnswer = document.body.dataset.role !== "viewer";

function unmark() {
  region = null;
  by("region").hidden = true;
}

function draw() {
  const frame = current();
  if (frame?.frame_id !== shown?.frame_id) shown = frame && { frame_id: frame.frame_id, at: performance.now() };
  by("nothing").hidden = Boolean(frame);
  by("image").hidden = !frame;
  unmark();
  for (const id of ["good", "defect", "skip"]) by(id).disabled = !frame || !mayAnswer;
  by("undo").disabled = !held().length;
  by("asked").textContent = frame ? `${frame.verdict} · ${frame.part_id}` : "All answered";
  by("asked").className = `verdict small ${frame?.verdict ?? ""}`;
  by("reason").textContent = frame?.reason ?? "";
  if (frame) by("image").src = imageOf(frame, kind);
  by("queue").replaceChildren(...queue.slice(0, 60).map((each, at) => {
    const item = tile(each, "image");
    if (at === 0 || chosen.has(each.frame_id)) item.classList.add("chosen");
    item.addEventListener("click", (event) => (event.shiftKey ? upTo(at) : front(at)));
    return item;
  }));
}

function front(at) {
  queue.unshift(...queue.splice(at, 1));
  chosen.clear();
  draw();
}

function upTo(at) {
  for (const frame of queue.slice(0, at + 1)) chosen.add(frame.frame_id);
  tell(`${chosen.size} parts are chosen: one key answers for all.`);
  draw();
}

function answer(verdict) {
  const taken = chosen.has(current()?.frame_id) ? queue.filter((frame) => chosen.has(frame.frame_id)) : queue.slice(0, 1);
  if (!taken.length || !mayAnswer) return;
  const marked = taken.length === 1 && verdict === "defect" ? region : null;
  const looked_ms = taken.length === 1 && shown ? Math.min(Math.round(performance.now() - shown.at), MOST_MS) : null;
  for (const frame of taken) {
    unsent.push({ frame, verdict, region: marked, looked_ms, key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, at: Date.now() });
  }
  queue = queue.filter((frame) => !taken.includes(frame));
  chosen.clear();
  keep();
  tell(`${taken.map((frame) => frame.part_id).join(", ")}: ${verdict}`);
  draw();
}

by("image").addEventListener("error", () => { // judged by a version that saw none, or the connection is lost
  if (kind !== "depth" || !current()) return;
  kind = "image";
  tell("There is no depth of this part.", true);
  draw();
});

function show(other) {
  kind = kind === other ? "image" : other;
  draw();
}

function skip() {
  if (queue.length) queue.push(queue.shift());
  chosen.clear();
  draw();
}

function undo() {
  if (region) return unmark();
  const last = held().at(-1);
  if (!last) return tell("That was sent already: answer again to correct it.", true);
  unsent = unsent.filter((each) => each !== last);
  keep();
  queue.unshift(last.frame);
  tell(`${last.frame.part_id}: taken back`);
  draw();
}

async function send() {
  const due = unsent.filter((each) => !each.sending && Date.now() - each.at >= HELD_MS);
  for (const each of due) {
    if (each.sending || !unsent.includes(each)) continue; // sent or taken back while another was under way
    each.sending = true;
    try {
      const reply = await fetch("api/answers", { method: "POST", headers: JSON_BODY, body: bodyOf(each) });
      if ([401, 429, 503].includes(reply.status)) throw new Error("later");
      if (!reply.ok) tell(`${each.frame.part_id}: not taken. ${(await reply.json()).came ?? reply.statusText}`, true);
      unsent = unsent.filter((other) => other !== each);
    } catch {
      each.sending = false;
      tell(`${unsent.length} answers wait for the connection.`, true);
      break;
    } finally {
      keep();
    }
  }
  by("undo").disabled = !held().length;
}

async function fill() {
  const told = await get("api/reviews?limit=200").catch(() => null); // without a connection what is here stays
  if (!told) return;
  const answered = new Set(unsent.map((each) => each.frame.frame_id));
  const known = new Set(queue.map((frame) => frame.frame_id));
  const asked = told.filter((frame) => !answered.has(frame.frame_id));
  const still = new Set(asked.map((frame) => frame.frame_id));
  const next = queue.filter((frame) => still.has(frame.frame_id));
  asked.forEach((frame, at) => { // where the line has put it, but never in the place of the part that is looked at
    if (!known.has(frame.frame_id)) next.splice(Math.max(at, next.length ? 1 : 0), 0, frame);
  });
  const same = next.length === queue.length && next.every((frame, at) => frame === queue[at]);
  queue = next;
  chosen = new Set([...chosen].filter((id) => still.has(id)));
  if (!same || !filled) draw(); // a mark that is being drawn stays
  filled = true;
}

// Where the image itself lies on the stage, which keeps its shape.
function shares(event) {
  const image = by("image");
  const box = image.getBoundingClientRect();
  const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  const [left, top] = [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2];
  const within = (value) => Math.min(Math.max(value, 0), 1);
  return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height), left, top, width, height };
}

function mark(from, to) {
  const stage = by("stage").getBoundingClientRect();
  const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
  const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
  region = right - left > 0.01 && bottom - top > 0.01 ? [left, top, right, bottom] : null;
  const box = by("region");
  box.hidden = !region;
  box.style.left = `${to.left - stage.left + left * to.width}px`;
  box.style.top = `${to.top - stage.top + top * to.height}px`;
  box.style.width = `${(right - left) * to.width}px`;
  box.style.height = `${(bottom - top) * to.height}px`;
}

let from = null;
by("stage").addEventListener("pointerdown", (event) => {
  if (!current()) return;
  event.preventDefault();
  by("stage").setPointerCapture(event.pointerId);
  from = shares(event);
});
by("stage").addEventListener("pointermove", (event) => { if (from) mark(from, shares(event)); });
by("stage").addEventListener("pointerup", (event) => { if (from) mark(from, shares(event)); from = null; });

const keys = { g: () => answer("good"), d: () => answer("defect"), s: skip, u: undo, ArrowLeft: undo, h: () => show("heat"), z: () => by("depth").hidden || show("depth") };
document.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter") event.preventDefault(); // a held button answers once, as a held key does
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
for (const [id, key] of [["good", "g"], ["defect", "d"], ["skip", "s"], ["undo", "u"], ["heat", "h"], ["depth", "z"]]) by(id).addEventListener("click", keys[key]);
news.addEventListener("back", fill);
news.addEventListener("status", ({ detail }) => {
  fill();
  const due = detail.answers_to_lesson; // none before anything was taught
  by("distrusted").textContent = detail.distrusted[document.body.dataset.caller] ? "Your answers wait for a second person: "
    + `${detail.distrusted[document.body.dataset.caller]}.` : "";
  by("lesson").textContent = due === null ? "" : due > 0 ? `A lesson comes after ${due} more answers.` : "A lesson is due.";
});
unsent.forEach((each) => { each.sending = false; });
// Whoever leaves the page has made up his mind. What is not known to have arrived stays here, and is sent again next time.
addEventListener("pagehide", () => {
  for (const each of unsent) each.left = true;
  keep();
  for (const each of unsent) fetch("api/answers", { method: "POST", keepalive: true, headers: JSON_BODY, body: bodyOf(each) }).catch(() => {});
});
if (!mayAnswer) tell("You may look. Answers take an operator.");
setInterval(send, LOOK_MS);
