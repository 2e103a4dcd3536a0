"use strict";
// From a folder of good parts to a version that judges: send, teach, look at the oddest parts (odd.js),
// draw the region (region.js) and the smallest defect (defect.js), try the detectors (advise.js), check, go live.
const IMAGES = /\.(bmp|gif|jp2|jpe?g|mpo|p[gnp]m|png|tiff?|webp)$/i;
const images = (input) => [...input.files].filter((file) => IMAGES.test(file.name)).sort((a, b) => a.webkitRelativePath.localeCompare(b.webkitRelativePath));
const steps = ["odd", "advise", "check", "live"];

function refused(name, why) {
  const item = document.createElement("li");
  item.textContent = `${name}: ${why}`;
  const told = [...by("refused").children].some((other) => other.textContent === item.textContent);
  if (!told) by("refused").append(item);
}

function progress(of, done) {
  by("progress").hidden = done >= of;
  by("progress").max = Math.max(of, 1);
  by("progress").value = done;
}

let shown = "";
let batch = ""; // whose images are or were taught
let detector = null; // kind of the draft; null: as the settings say
function ready(draft) {
  const before = shown;
  shown = draft?.id ?? "";
  for (const step of steps) by(`step-${step}`).setAttribute("aria-disabled", String(!draft));
  by("known").disabled = by("live").disabled = by("advise").disabled = !draft;
  showOddest(draft);
  by("unlike").textContent = draft?.unlike_line ?? "";
  showCheck(null);
  showWays(null);
  if (before !== shown) by("shown").replaceChildren(); // they show what another draft says
  if (!draft) return;
  const unused = Object.keys(draft.refused).length;
  const parts = _n("{count} part", "{count} parts", draft.parts);
  const taught = unused ? _("{parts} ({some} of {all} images refused)", { parts, some: unused, all: draft.parts + unused }) : parts;
  const geometry = draft.geometry_text[0].toUpperCase() + draft.geometry_text.slice(1);
  tellIn("told", `${_("{parts} by {detector}, threshold {threshold}", { parts: taught, detector: draft.detector, threshold: draft.threshold.toFixed(4) })}: ${draft.promise}. ${geometry}.`);
  detector = draft.detector;
  if (batch !== draft.batch) {
    openPart((batch = draft.batch));
    by("smallest").value = draft.smallest_defect_px ?? "";
  }
  showTaught(draft.region);
  by("follows").textContent = draft.follows ? _("It follows version {follows} and keeps its confirmed defects.", draft) : _("It is the first version: until it is live every part is UNKNOWN.");
}

function openPart(batch) {
  openRegion(batch);
  openExample(batch);
}

async function send(files) {
  const begun = (await act("api/setup/begin")).batch;
  for (const [at, file] of files.entries()) {
    tellIn("told", _("Sending {some} of {all}…", { some: at + 1, all: files.length }));
    progress(files.length, at);
    try {
      await act(`api/setup/images?batch=${begun}&name=${encodeURIComponent(file.name)}`, file, "PUT");
    } catch (error) {
      if (![413, 422].includes(error.status)) throw error; // only these are the image's own trouble
      refused(file.name, error.message);
    }
  }
  return begun;
}

by("goods").addEventListener("change", () => {
  const count = images(by("goods")).length;
  const folders = new Set(images(by("goods")).map((file) => file.webkitRelativePath.split("/").slice(0, -1).join("/")));
  const several = folders.size > 1 ? _("They lie in {count} folders ({names}): choose the one that holds good parts alone, unless all of these do.", { count: folders.size, names: [...folders].sort().slice(0, 5).join(", ") }) : "";
  const told = count ? `${_n("{count} image.", "{count} images.", count)} ${several}`.trim() : _("There are no images in this folder.");
  tellIn("told", told, !count || Boolean(several));
  by("teach").disabled = !count;
});

async function follow(where) {
  const told = await followed((work) => {
    if (!work || work.what !== "teach") return;
    tellIn(where, howFar(work));
    progress(work.of, work.done);
  });
  by("progress").hidden = true;
  tellIn(where, told.work?.error ?? "", Boolean(told.work?.error));
  for (const [name, why] of Object.entries(told.draft?.refused ?? {})) refused(name.split("/").at(-1), why);
  ready(told.draft);
  showCheck(told.check);
  if (told.draft && !by(where).textContent) tellIn(where, by("told").textContent);
}

// Teach, and tell in the element `where` how it goes.
async function teach(where, prepared) {
  by("teach").disabled = by("reteach").disabled = by("without").disabled = by("advise").disabled = true;
  for (const button of by("candidates").querySelectorAll("button")) button.disabled = true;
  try {
    await act("api/setup/teach", await prepared());
    ready(null);
    openPart(batch);
    await follow(where);
  } catch (error) {
    tellIn(where, reason(error), true);
  }
  by("teach").disabled = by("reteach").disabled = false;
  for (const button of by("candidates").querySelectorAll("button")) button.disabled = false;
}

by("teach").addEventListener("click", () => {
  by("refused").replaceChildren();
  ready(null);
  leftOut = [];
  detector = null;
  showCandidates(null);
  teach("told", async () => {
    const smallest_defect_px = smallestDefect();
    return { smallest_defect_px, batch: batch = await send(images(by("goods"))) };
  });
});
const again = () => ({ batch, region: regionToTeach(), smallest_defect_px: smallestDefect(), without: leftOut, detector });
by("reteach").addEventListener("click", () => teach("region-told", again));
by("without").addEventListener("click", () => {
  leftOut = [...leftOut, ...markedParts()];
  teach("odd-told", again);
});

get("api/work").then((told) => {
  const advising = told.work?.what === "advise";
  if (told.work && !told.work.ended && !advising) return follow("told");
  ready(told.draft);
  showCheck(told.check);
  if (told.work?.what === "remedies") showWays(told.work.found);
  if (advising && !told.work.ended) return followAdvice();
  if (told.draft && advising) showCandidates(told.work.found);
}).catch(() => {});
