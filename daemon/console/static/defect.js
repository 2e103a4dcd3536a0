"use strict";
// The smallest defect to find: a number, or a box drawn on a taught part, whose shorter side it is in the image's pixels.
let part = null; // the image's true size: its picture is smaller
let from = null;

// What is to be taught, null for what the settings say. Throws an Error for what is no size.
function smallestDefect() {
  if (!by("smallest").validity.valid) throw new Error(_("The smallest defect is a number of pixels, 1 or more."));
  return by("smallest").value ? Number(by("smallest").value) : null;
}

// Learn the size of the part of a batch that is shown to draw on.
function openExample(batch) {
  part = null;
  by("example").hidden = true;
  get(`api/setup/part?batch=${batch}`).then((size) => { part = size; }).catch(() => {}); // region.js tells that it is gone
}

function example(to) {
  const [left, right] = [from[0], to[0]].sort((a, b) => a - b);
  const [top, bottom] = [from[1], to[1]].sort((a, b) => a - b);
  const px = Math.round(Math.min((right - left) * part.width_px, (bottom - top) * part.height_px));
  const box = by("example");
  box.hidden = px < 1;
  if (box.hidden) return;
  Object.assign(box.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%` });
  by("smallest").value = px;
  tellRegion(_("The smallest defect to find: {px} px of the image. It is not taught yet.", { px }));
}

by("drawing").addEventListener("pointerdown", (event) => {
  if (kindInHand() !== "defect" || !part || event.target.closest(".corner")) return;
  from = shareAt(event);
  by("drawing").setPointerCapture(event.pointerId);
});
by("drawing").addEventListener("pointermove", (event) => { if (from) example(shareAt(event)); });
for (const end of ["pointerup", "pointercancel"]) by("drawing").addEventListener(end, () => { from = null; });
for (const radio of document.querySelectorAll("[name=kind]")) {
  radio.addEventListener("change", () => by("drawing").classList.toggle("boxed", kindInHand() === "defect"));
}
