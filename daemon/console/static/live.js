"use strict";
// The newest part, large, and those before it. A fast line is shown twice a second, without leaving out a flagged part.
const STRIP = 14;
const EVERY_MS = 500;
let come = [];
let drawnAt = 0;
let newest = 0; // the highest number in the strip
let filling = 0;
let any = false; // part on the stage
const TRUST = { unknown: _("unknown"), stable: _("stable"), compensating: _("compensating"), drifting: _("drifting"), untrusted: _("untrusted") };

function show(frame) {
  any = true;
  const image = by("image");
  image.hidden = false;
  by("nothing").hidden = true;
  image.onerror = () => {
    image.hidden = true;
    by("nothing").hidden = false;
    by("nothing").textContent = _("There is no picture of this part.");
  };
  image.src = imageOf(frame, "heat");
  by("verdict").textContent = VERDICTS[frame.verdict];
  by("verdict").className = `verdict ${frame.verdict}`;
  by("reason").textContent = frame.reason;
  by("part").textContent = frame.part_id;
  by("part").href = `parts/${frame.seq}`;
  by("version").textContent = frame.version ?? _("none");
  by("at").textContent = `${clock(new Date(frame.judged_ms)).slice(11)}:${two(new Date(frame.judged_ms).getSeconds())}`;
  const share = frame.score === null ? 0 : frame.score / frame.threshold;
  by("number").textContent = frame.score === null ? _("none") : _("{some} of {all}", { some: frame.score.toFixed(3), all: frame.threshold.toFixed(3) });
  by("score").style.width = `${Math.min(share / 2, 1) * 100}%`;
  by("score").className = share > 1 ? "over" : "";
}

// A tile that opens the part's page: there a part that was passed wrongly is reported.
const opening = (frame) => {
  const item = tile(frame, "heat");
  const link = document.createElement("a");
  link.href = `parts/${frame.seq}`;
  link.append(...item.childNodes);
  item.append(link);
  return item;
};

function add(frame) {
  newest = frame.seq;
  const strip = by("strip");
  strip.prepend(opening(frame));
  while (strip.children.length > STRIP) strip.lastElementChild.remove();
}

function scene(status) {
  const trust = status.drift?.trust ?? "unknown";
  by("lamp").className = `lamp ${trust}`;
  by("scene").textContent = TRUST[trust];
  by("waiting").textContent = status.waiting;
  if (!any) by("version").textContent = status.version ?? _("none");
  by("troubles").replaceChildren(...status.troubles.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

// Parts that are judged while the list is under way wait for it: drawn after it, they are not hidden by it.
async function fill() {
  filling += 1;
  const frames = await get(`api/frames?limit=${STRIP}`).catch(() => null);
  filling -= 1;
  if (!frames) return;
  newest = frames.length ? frames[0].seq : 0;
  by("strip").replaceChildren(...frames.map(opening));
  if (frames.length) show(frames[0]);
}

function draw() {
  if (filling || Date.now() - drawnAt < EVERY_MS) return;
  come = come.filter((frame) => frame.seq > newest); // the list may hold it already
  if (!come.length) return;
  drawnAt = Date.now();
  const last = come.at(-1);
  for (const frame of come) if (frame === last || frame.verdict !== "OK") add(frame);
  show(last);
  come = [];
}

news.addEventListener("frame", ({ detail }) => { come.push(detail); if (come.length > 10 * STRIP) come.shift(); setTimeout(draw, 30); });
setInterval(draw, EVERY_MS / 2);
news.addEventListener("status", ({ detail }) => scene(detail));
news.addEventListener("back", fill);
