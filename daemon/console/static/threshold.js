"use strict";
// Scores of good parts and of confirmed defects, and a line between them that says what it would mean.
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, FOOT, BINS] = [1000, 320, 30, 60];
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const range = ([low, high], show) => _("{low} to {high}", { low: show(low), high: show(high) });
let told = null;
let high = 1;

function draw(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  by("plot").append(made);
  return made;
}

const across = (score) => Math.min(score / high, 1) * WIDTH;

function counted(scores) {
  const counts = Array(BINS).fill(0);
  for (const score of scores) counts[Math.min(Math.floor((score / high) * BINS), BINS - 1)] += 1;
  return counts;
}

function bars(counts, kind, most) {
  counts.forEach((count, at) => {
    const tall = (count / most) * (HEIGHT - FOOT - 20);
    if (count) draw("rect", { class: kind, x: (at * WIDTH) / BINS + 1, y: HEIGHT - FOOT - tall, width: WIDTH / BINS - 2, height: tall });
  });
}

function plot() {
  const defects = Object.values(told.defects);
  high = 1.15 * Math.max(...told.goods, told.value, Math.min(Math.max(0, ...defects), 3 * told.value));
  by("plot").replaceChildren();
  const [ofGoods, ofDefects] = [counted(told.goods), counted(defects)];
  const tallest = Math.max(1, ...ofGoods, ...ofDefects);
  bars(ofGoods, "goods", tallest);
  bars(ofDefects, "defects", tallest);
  draw("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT });
  for (let at = 0; at <= 4; at += 1) draw("text", { x: (WIDTH * at) / 4, y: HEIGHT - 8, "text-anchor": at === 0 ? "start" : at === 4 ? "end" : "middle" }, ((high * at) / 4).toPrecision(3));
  draw("line", { class: "now", x1: across(told.value), x2: across(told.value), y1: 0, y2: HEIGHT - FOOT });
  draw("line", { class: "chosen", id: "chosen", y1: 0, y2: HEIGHT - FOOT });
  draw("circle", { class: "grip", id: "grip", cy: HEIGHT / 3, r: 16 });
}

const chosen = () => told.choices[Number(by("line").value)];

function show() {
  const choice = chosen();
  const [parts, defects] = [told.parts_in_8_hours, Object.keys(told.defects).length];
  for (const end of ["x1", "x2"]) by("chosen").setAttribute(end, across(choice.value));
  by("grip").setAttribute("cx", across(choice.value));
  by("value").textContent = choice.value.toFixed(4);
  by("rank").textContent = _("in force: {value}", { value: told.value.toFixed(4) });
  by("rejects").textContent = percent(choice.rate);
  by("rejects-range").textContent = range(choice.false_rejects, percent);
  by("parts").textContent = _n("In a shift of {count} part", "In a shift of {count} parts", parts);
  by("shift").textContent = (parts * choice.rate).toFixed(1);
  by("shift-range").textContent = range(choice.in_a_shift, String);
  by("found").textContent = defects ? _("{some} of {all}", { some: choice.found, all: defects }) : _("none known");
  const drawn = { some: choice.drawn_found, all: told.drawn, range: range(choice.recall, percent) };
  const recall = _("{some} of {all} on parts drawn at random, by their scores when they were judged: {range} of all defects", drawn);
  const open = told.open_drawn ? `, ${_n("for {count} drawn part is not answered", "for {count} drawn parts are not answered", told.open_drawn)}` : "";
  by("recall-range").textContent = told.drawn
    ? `${recall}${open}`
    : _("How many are missed is not known: since this was taught no confirmed defect was on a part drawn at random (policy.audit_share).");
  by("use").disabled = by("all").dataset.engineer !== "true" || choice.value === told.value;
}

async function fill() {
  const fresh = await get("api/threshold").catch((reply) => reply);
  by("nothing").hidden = fresh.status !== 409;
  by("all").hidden = !fresh.choices;
  tellIn("lost", fresh.choices || fresh.status === 409 ? "" : fresh.message, true);
  if (!fresh.choices) return;
  told = fresh;
  by("line").max = told.choices.length - 1;
  const own = told.choices.findIndex((choice) => choice.value === told.value && choice.rate === told.rate);
  by("line").value = own >= 0 ? own : told.choices.findLastIndex((choice) => choice.value <= told.value);
  plot();
  show();
}

// The line is dragged where the pointer is, and not by equal steps: scores lie close together in places.
function nearest(event) {
  const box = by("plot").getBoundingClientRect();
  const score = ((event.clientX - box.left) / box.width) * high;
  const apart = told.choices.map((choice) => Math.abs(choice.value - score));
  by("line").value = apart.indexOf(Math.min(...apart));
  show();
}
let dragging = false;
by("plot").addEventListener("pointerdown", (event) => { dragging = true; by("line").focus(); by("plot").setPointerCapture(event.pointerId); nearest(event); });
by("plot").addEventListener("pointermove", (event) => { if (dragging) nearest(event); });
by("plot").addEventListener("pointerup", () => { dragging = false; });
by("line").addEventListener("input", show);
by("use").addEventListener("click", async () => {
  const rates = { rate: percent(chosen().rate), before: percent(told.rate) };
  if (!await sure(_("From the next part on {rate} false rejects are asked for, instead of {before}.", rates))) return;
  by("use").disabled = by("line").disabled = true;
  tellIn("told", _("Making the version: every confirmed defect that is found today must be found by it."));
  try {
    const made = await act("api/threshold", { rate: chosen().rate });
    await fill();
    tellIn("told", _("Version {version} judges at {rate} false rejects.", { version: made.version, rate: percent(made.rate) }));
  } catch (error) {
    tellIn("told", error.message, true);
    show();
  }
  by("line").disabled = false;
});
fill();
