"use strict";
// The draft on known defects: what it finds, what would find more, and going live although it misses some.
let misses = null; // what came of the check, where too few are found

function knownTile(file, said) {
  const found = said.verdict === "NG";
  const item = document.createElement("li");
  item.className = found ? "OK" : "NG"; // a defect that is found is what is wanted
  const image = document.createElement("img");
  image.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(said.picture), (c) => c.charCodeAt(0))], { type: "image/jpeg" }));
  image.alt = "";
  const name = document.createElement("span");
  const values = { times: (said.score / said.threshold).toFixed(1), name: file.name };
  name.textContent = found ? _("found: {times}× threshold, {name}", values) : _("MISSED: {times}× threshold, {name}", values);
  name.title = name.textContent;
  item.append(image, name);
  return item;
}

const rateWords = ({ rate, found }) => _("At {percent} % false rejects {found} would be found: set it on Threshold once this is live.", { percent: (100 * rate).toFixed(0), found });
function showCheck(check) {
  misses = check?.bad ? check : null;
  by("live").className = misses ? "defect" : "good";
  by("remedies").disabled = !check || !shown || check.left > 0;
  tellIn("checked", check?.words ?? "", Boolean(misses));
  const lines = check ? [...check.advice.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`), ...check.rates.map(rateWords)] : [];
  by("advised").replaceChildren(...lines.map((text) => { const item = document.createElement("li"); item.textContent = text; return item; }));
}

let checking = 0; // the run of checks that is under way; an older one ends
const BUSY = ["live", "remedies", "teach", "reteach", "without", "advise"];
async function checkAll() {
  const run = ++checking;
  const files = images(by("known"));
  by("shown").replaceChildren();
  showWays(null);
  if (!files.length) return;
  for (const id of BUSY) by(id).disabled = true;
  try {
    const { batch: known } = await act("api/setup/known", { count: files.length });
    for (const file of files) {
      if (run !== checking) return;
      try {
        const said = await act(`api/setup/check?batch=${known}&name=${encodeURIComponent(file.name)}`, file);
        if (run !== checking) return;
        by("shown").append(knownTile(file, said));
        showCheck(said.check);
      } catch (error) {
        if (error.status !== 422) throw error;
        refused(file.name, error.message);
      }
    }
    for (const id of BUSY) by(id).disabled = !shown;
    showCheck((await get("api/work")).check);
  } catch (error) {
    for (const id of BUSY) by(id).disabled = !shown;
    tellIn("checked", reason(error), true);
  }
}

function wayRow(way, known) {
  const row = document.createElement("tr");
  for (const text of way.refused ? [way.what, way.refused] : [way.what, _("{some} of {all}", { some: way.found, all: way.of }), `${(100 * way.rate).toFixed(1)} %`, `${Math.round(way.frame_ms)} ms`]) row.insertCell().textContent = text;
  if (way.refused || way.own) return row;
  const button = document.createElement("button");
  button.textContent = _("Teach so");
  button.className = way.found > known ? "good" : "";
  button.addEventListener("click", async () => {
    if (way.smallest_px) by("smallest").value = Math.round(way.smallest_px);
    await teach("remedies-told", () => ({ ...again(), detector: way.detector, smallest_defect_px: way.smallest_px ?? smallestDefect() }));
  });
  row.insertCell().append(button);
  return row;
}

function showWays(found) {
  by("ways").hidden = !found?.rows?.length;
  by("ways").tBodies[0].replaceChildren(...(found?.rows ?? []).map((way) => wayRow(way, found.rows[0].found)));
}

by("known").addEventListener("change", checkAll);
by("remedies").addEventListener("click", async () => {
  by("remedies").disabled = true;
  try {
    await act("api/setup/remedies", {});
    const told = await followed((work) => {
      if (work?.what !== "remedies") return;
      tellIn("remedies-told", howFar(work));
      showWays(work.found);
    });
    tellIn("remedies-told", told.work?.error ?? "", Boolean(told.work?.error));
  } catch (error) {
    tellIn("remedies-told", reason(error), true);
  }
  by("remedies").disabled = !shown;
});

async function goLive(meant) {
  try {
    const made = await act("api/setup/live", { draft: shown, meant });
    ready(null);
    by("step-live").setAttribute("aria-disabled", "false");
    tellIn("live-told", _("Version {version} judges from now on.", made));
  } catch (error) {
    tellIn("live-told", error.message, true);
    if (error.kind !== "NotMeant") return;
    misses = { words: error.came }; // the page was opened anew since the check
    ask();
  }
}

async function ask() {
  if (await sure(`${misses.words}.`)) await goLive(true);
}

by("live").addEventListener("click", () => (misses ? ask() : goLive(false)));
