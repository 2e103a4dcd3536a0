"use strict";
// Answers with one key each. They wait a moment, so that U takes one back, and are kept through a lost connection:
// each has a key of its own, so sending it again counts once.
const HELD_MS = 4000;
const LOOK_MS = 500;
const RECORDED_MS = 10000; // by then the service has recorded what was sent to it, if it runs
const MOST_MS = 999999999; // as the API takes it
const KEPT = `driftline-answers-${document.body.dataset.line}-${document.body.dataset.caller}`; // another's answers are not ours
let queue = [];
let chosen = new Set();
let kind = "heat"; // of the image on the stage
let filled = false;
let shown = null; // the part on the stage, and since when
let runs = []; // what each key has answered
const sentAt = new Map(); // by frame, what the service may not have recorded yet
const backAt = new Map(); // likewise, what was taken back
let unsent = JSON.parse(localStorage.getItem(KEPT) ?? "[]");

const JSON_BODY = { "Content-Type": "application/json" };
const bodyOf = ({ frame, verdict, region, key, looked_ms }) => JSON.stringify({ frame_id: frame.frame_id, verdict, region, key, looked_ms });
const keep = () => localStorage.setItem(KEPT, JSON.stringify(unsent));
const tell = (text, trouble) => tellIn("told", text, trouble);
const current = () => queue[0];
const mayAnswer = document.body.dataset.role !== "viewer";
const mark = marking(by("stage"), by("image"), by("region"), () => Boolean(current()));

// The picture of the part before is not shown as this one's while it is under way.
function picture(src) {
  if (by("image").getAttribute("src") === src) return;
  by("image").style.visibility = "hidden";
  by("image").src = src;
}
by("image").addEventListener("load", () => { by("image").style.visibility = ""; });

function draw() {
  const frame = current();
  if (frame?.frame_id !== shown?.frame_id) shown = frame && { frame_id: frame.frame_id, at: performance.now() };
  by("nothing").hidden = Boolean(frame);
  by("image").hidden = !frame;
  mark.clear();
  for (const id of ["good", "defect", "skip"]) by(id).disabled = !frame || !mayAnswer;
  by("undo").disabled = !runs.length;
  by("asked").textContent = frame ? `${VERDICTS[frame.verdict]} · ${frame.part_id}` : _("All answered");
  by("more").hidden = !frame;
  if (frame) by("more").href = `parts/${frame.seq}`;
  by("asked").className = `verdict small ${frame?.verdict ?? ""}`;
  by("reason").textContent = frame?.reason ?? "";
  by("question").textContent = frame?.question ?? "";
  if (frame) picture(imageOf(frame, kind));
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
  tell(_n("{count} part is chosen: one key answers for it.", "{count} parts are chosen: one key answers for all.", chosen.size));
  draw();
}

function answer(verdict) {
  const taken = chosen.has(current()?.frame_id) ? queue.filter((frame) => chosen.has(frame.frame_id)) : queue.slice(0, 1);
  if (!taken.length || !mayAnswer) return;
  const marked = taken.length === 1 && verdict === "defect" ? mark.region() : null;
  const looked_ms = taken.length === 1 && shown ? Math.min(Math.round(performance.now() - shown.at), MOST_MS) : null;
  const run = taken.map((frame) => ({ frame, verdict, region: marked, looked_ms, key: newKey(), at: Date.now() }));
  unsent.push(...run);
  runs.push(run);
  queue = queue.filter((frame) => !taken.includes(frame));
  chosen.clear();
  keep();
  tell(`${taken.map((frame) => frame.part_id).join(", ")}: ${LABELS[verdict]}`);
  draw();
}

by("image").addEventListener("error", () => { // judged by a version that saw none, or the connection is lost
  if (kind !== "depth" || !current()) return;
  kind = "image";
  tell(_("There is no depth of this part."), true);
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

// All that the last key has answered, also what was sent; what is on its way arrives first.
async function undo() {
  if (mark.region()) return mark.clear();
  const run = runs.pop();
  if (!run) return;
  const [waiting, gone] = [run.filter((each) => unsent.includes(each) && !each.posting), []];
  unsent = unsent.filter((each) => !waiting.includes(each));
  keep();
  for (const each of run.filter((other) => !waiting.includes(other))) {
    await each.posting;
    if (unsent.includes(each)) unsent = unsent.filter((other) => other !== each); // it did not arrive, and shall not
    else if (!each.refused) gone.push(each);
  }
  keep();
  try {
    if (gone.length) await act("api/answers/withdraw", { frame_ids: gone.map((each) => each.frame.frame_id), unrecorded: true });
  } catch (error) {
    if (error.status !== 404) runs.push(gone); // what was learned stays
    return tell(_("Not taken back. {why}", { why: reason(error) }), true);
  }
  for (const each of gone) { sentAt.delete(each.frame.frame_id); backAt.set(each.frame.frame_id, Date.now()); }
  const back = run.map((each) => each.frame);
  queue = [...back, ...queue.filter((frame) => !back.includes(frame))];
  tell(_("{parts}: taken back", { parts: back.map((frame) => frame.part_id).join(", ") }));
  draw();
}

async function post(each) {
  try {
    const reply = await fetch("api/answers", { method: "POST", headers: JSON_BODY, body: bodyOf(each) });
    if ([401, 429, 503].includes(reply.status)) throw new Error("later");
    each.refused = !reply.ok;
    if (each.refused) tell(_("{part}: not taken. {why}", { part: each.frame.part_id, why: (await reply.json()).came ?? reply.statusText }), true);
    else sentAt.set(each.frame.frame_id, Date.now());
    unsent = unsent.filter((other) => other !== each);
    return true;
  } catch {
    tell(_n("{count} answer waits for the connection.", "{count} answers wait for the connection.", unsent.length), true);
    return false;
  } finally {
    keep();
  }
}

async function send() {
  for (const each of unsent.filter((other) => !other.posting && Date.now() - other.at >= HELD_MS)) {
    if (each.posting || !unsent.includes(each)) continue; // sent or taken back while another was under way
    each.posting = post(each);
    const arrived = await each.posting;
    each.posting = null;
    if (!arrived) break;
  }
  by("undo").disabled = !runs.length;
}

async function fill() {
  const told = await get("api/reviews?limit=200").catch(() => null); // without a connection what is here stays
  if (!told) return;
  for (const times of [sentAt, backAt]) for (const [id, at] of times) if (Date.now() - at > RECORDED_MS) times.delete(id);
  const answered = new Set([...unsent.map((each) => each.frame.frame_id), ...sentAt.keys()]);
  const known = new Set(queue.map((frame) => frame.frame_id));
  const asked = told.filter((frame) => !answered.has(frame.frame_id));
  const still = new Set([...asked.map((frame) => frame.frame_id), ...backAt.keys()]);
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
  const why = detail.distrusted[document.body.dataset.caller];
  by("distrusted").textContent = why ? _("Your answers wait for a second person: {why}.", { why }) : "";
  by("lesson").textContent = due === null ? "" : due > 0 ? _n("A lesson comes after {count} more answer.", "A lesson comes after {count} more answers.", due) : _("A lesson is due.");
});
unsent.forEach((each) => { each.posting = null; });
// Whoever leaves the page has made up his mind. What is not known to have arrived stays here, and is sent again next time.
addEventListener("pagehide", () => {
  for (const each of unsent) each.left = true;
  keep();
  for (const each of unsent) fetch("api/answers", { method: "POST", keepalive: true, headers: JSON_BODY, body: bodyOf(each) }).catch(() => {});
});
if (!mayAnswer) tell(_("You may look. Answers take an operator."));
setInterval(send, LOOK_MS);
