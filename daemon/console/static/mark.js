"use strict";
// Marking a defect on the picture of a part: one box, dragged, as shares [left, top, right, bottom] of the image.
function marking(stage, image, box, may) {
  let region = null;
  let from = null;

  // Where the image itself lies on the stage, which keeps its shape.
  function shares(event) {
    const around = image.getBoundingClientRect();
    const scale = Math.min(around.width / image.naturalWidth, around.height / image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const [left, top] = [around.left + (around.width - width) / 2, around.top + (around.height - height) / 2];
    const within = (value) => Math.min(Math.max(value, 0), 1);
    return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height), left, top, width, height };
  }

  function draw(to) {
    const edge = stage.getBoundingClientRect();
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    region = right - left > 0.01 && bottom - top > 0.01 ? [left, top, right, bottom] : null;
    box.hidden = !region;
    box.style.left = `${to.left - edge.left + left * to.width}px`;
    box.style.top = `${to.top - edge.top + top * to.height}px`;
    box.style.width = `${(right - left) * to.width}px`;
    box.style.height = `${(bottom - top) * to.height}px`;
  }

  stage.addEventListener("pointerdown", (event) => {
    if (!may()) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    from = shares(event);
  });
  stage.addEventListener("pointermove", (event) => { if (from) draw(shares(event)); });
  stage.addEventListener("pointerup", (event) => { if (from) draw(shares(event)); from = null; });

  return { region: () => region, clear: () => { region = null; box.hidden = true; } };
}
