"use strict";
// The region of interest, drawn on a taught part. Drawing and JSON follow each other; what is taught is the JSON.
const KINDS = ["include", "ignore"];
const LEAST_CORNERS = 3;
const STEP = 0.01;
const region = { polygons: [], inHand: [], taught: textOf([]), aim: [0.5, 0.5] };
const tellRegion = (text, trouble) => tellIn("region-told", text, trouble);
const kindInHand = () => document.querySelector("[name=kind]:checked").value;
const drawsPolygons = () => KINDS.includes(kindInHand()); // or else the smallest defect (defect.js)
const rounded = (share) => Math.round(Math.min(Math.max(share, 0), 1) * 1e4) / 1e4;

function textOf(polygons) {
  const listed = (kind) => {
    const lines = polygons.filter((each) => each.kind === kind).map((each) => `  ${JSON.stringify(each.points)}`);
    return lines.length ? `[\n${lines.join(",\n")}\n ]` : "[]";
  };
  return `{"include": ${listed("include")},\n "ignore": ${listed("ignore")}}`;
}

// The polygons in a region's JSON. Throws an Error for what cannot be drawn; whether it makes a region, the server says.
function polygonsOf(text) {
  const record = JSON.parse(text);
  const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
  const isPolygon = (points) => Array.isArray(points) && points.every(isPoint);
  const isList = ([key, list]) => KINDS.includes(key) && Array.isArray(list) && list.every(isPolygon);
  if (Array.isArray(record) || !(record instanceof Object) || !Object.entries(record).every(isList)) {
    throw new Error(_("the lists include and ignore, of polygons of points [x, y], and nothing else"));
  }
  return KINDS.flatMap((kind) => (record[kind] ?? []).map((points) => ({ kind, points })));
}

function shareAt({ clientX, clientY }) {
  const box = by("taught").getBoundingClientRect();
  return [rounded((clientX - box.left) / box.width), rounded((clientY - box.top) / box.height)];
}

function stepOf({ key, shiftKey }) {
  const far = shiftKey ? STEP / 10 : STEP;
  return { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[key];
}

const moved = ([x, y], [right, down]) => [rounded(x + right), rounded(y + down)];

function place(item, [x, y]) {
  item.style.left = `${x * 100}%`;
  item.style.top = `${y * 100}%`;
}

function outline() {
  const add = (parent, name, points, attributes) => {
    const made = by(parent).appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
    for (const [key, value] of Object.entries({ points: points.join(" "), ...attributes })) made.setAttribute(key, value);
  };
  for (const id of ["inside", "outlines"]) by(id).replaceChildren();
  by("whole").setAttribute("fill", region.polygons.some((each) => each.kind === "include") ? "white" : "black");
  for (const kind of KINDS) { // what is ignored is so wherever it lies
    for (const { points } of region.polygons.filter((each) => each.kind === kind)) {
      add("inside", "polygon", points, { fill: kind === "include" ? "black" : "white" });
      add("outlines", "polygon", points, { class: kind });
    }
  }
  add("outlines", "polyline", region.inHand, { class: kindInHand() });
  place(by("aim"), region.aim);
}

function corner(points, at, name, polygon) {
  const button = document.createElement("button");
  button.className = `corner ${polygon?.kind ?? kindInHand()}`;
  button.setAttribute("aria-label", _("Corner {number} of {polygon}", { number: at + 1, polygon: name }));
  const move = (point) => {
    points[at] = point;
    place(button, point);
    outline();
    if (polygon) write();
  };
  let held = null; // where it was taken hold of
  let dragged = false;
  button.addEventListener("pointerdown", (event) => {
    [held, dragged] = [shareAt(event), false];
    button.setPointerCapture(event.pointerId);
  });
  button.addEventListener("pointermove", (event) => {
    if (!held || (!dragged && String(shareAt(event)) === String(held))) return;
    dragged = true;
    move(shareAt(event));
  });
  for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => { held = null; });
  button.addEventListener("click", (event) => {
    if (event.detail < 2 && !dragged && !polygon && at === 0) close();
  });
  button.addEventListener("keydown", (event) => {
    const step = stepOf(event);
    if (step) move(moved(points[at], step));
    else if (event.key === "Delete" && polygon) remove(polygon);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  place(button, points[at]);
  by("corners").append(button);
}

function draw() {
  const focused = by("corners").contains(document.activeElement);
  outline();
  by("corners").replaceChildren();
  by("polygons").replaceChildren();
  region.polygons.forEach((polygon, number) => {
    const name = _("polygon {number}", { number: number + 1 });
    polygon.points.forEach((__, at) => corner(polygon.points, at, name, polygon));
    const button = document.createElement("button");
    button.textContent = _("Delete");
    button.setAttribute("aria-label", _("Delete {polygon}", { polygon: name }));
    button.addEventListener("click", () => remove(polygon));
    const item = document.createElement("li");
    item.className = polygon.kind;
    const values = { polygon: name, count: polygon.points.length };
    item.append(polygon.kind === "include" ? _("Judge here: {polygon}, {count} corners", values) : _("Ignore here: {polygon}, {count} corners", values), button);
    by("polygons").append(item);
  });
  region.inHand.forEach((__, at) => corner(region.inHand, at, _("the polygon in hand")));
  by("close").disabled = region.inHand.length < LEAST_CORNERS;
  by("discard").disabled = !region.inHand.length;
  if (focused) by("drawing").focus({ preventScroll: true }); // the corner that had it is drawn anew
}

function tellWhetherTaught() {
  tellRegion(textOf(region.polygons) === region.taught ? "" : _("This region is not taught yet."));
}

function write() {
  by("json").value = textOf(region.polygons);
  tellWhetherTaught();
}

function set(polygons) {
  region.polygons = polygons;
  write();
  draw();
}

const remove = (polygon) => set(region.polygons.filter((each) => each !== polygon));

function add(point) {
  region.inHand.push(point);
  region.aim = point;
  draw();
}

function close() {
  if (region.inHand.length < LEAST_CORNERS) return tellRegion(_("A polygon has at least three corners."), true);
  const closed = { kind: kindInHand(), points: region.inHand };
  region.inHand = [];
  set([...region.polygons, closed]);
}

function discard() {
  region.inHand = [];
  draw();
}

// Show the part of a batch to draw on.
function openRegion(batch) {
  by("editor").hidden = false;
  by("step-region").setAttribute("aria-disabled", "false");
  by("taught").src = `setup/part.jpg?batch=${batch}&at=${Date.now()}`;
}

// Show the region that was taught, unless another has been drawn meanwhile.
function showTaught(json) {
  const untouched = textOf(region.polygons) === region.taught && !region.inHand.length;
  const polygons = polygonsOf(JSON.stringify(json));
  region.taught = textOf(polygons);
  if (untouched) set(polygons);
  else tellWhetherTaught();
}

// What is to be taught. Throws an Error where it is not finished.
function regionToTeach() {
  if (region.inHand.length) throw new Error(_("Close the polygon in hand first, or take it back."));
  polygonsOf(by("json").value);
  return JSON.parse(by("json").value);
}

by("drawing").addEventListener("click", (event) => {
  if (!drawsPolygons()) return;
  if (event.detail > 1 && region.inHand.length) close();
  else if (!event.target.closest(".corner")) add(shareAt(event));
});
by("drawing").addEventListener("keydown", (event) => {
  if (!drawsPolygons()) return;
  const step = stepOf(event);
  if (step) {
    region.aim = moved(region.aim, step);
    outline();
  } else if (event.key === " " && event.target === by("drawing")) add([...region.aim]);
  else if (event.key === "Enter" && region.inHand.length) close();
  else if (event.key === "Escape" && region.inHand.length) discard();
  else return;
  event.preventDefault();
});
by("close").addEventListener("click", close);
by("discard").addEventListener("click", discard);
for (const radio of document.querySelectorAll("[name=kind]")) radio.addEventListener("change", () => (drawsPolygons() ? draw() : discard()));
by("json").addEventListener("input", () => {
  try {
    region.polygons = polygonsOf(by("json").value);
  } catch (error) {
    return tellRegion(_("Expected {expected}.", { expected: error instanceof SyntaxError ? "JSON" : error.message }), true);
  }
  draw();
  tellWhetherTaught();
});
by("taught").addEventListener("error", () => tellRegion(_("The part cannot be shown: another folder was begun since. Choose this one again."), true));
write();
