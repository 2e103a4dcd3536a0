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
  name.textContent = `${found ? "found" : "MISSED"}: ${(said.score / said.threshold).toFixed(1)}× threshold, ${file.name}`;
  name.title = name.textContent;
  item.append(image, name);
  return item;
}

const rateWords = ({ rate, found }) => `At ${(100 * rate).toFixed(0)} % false rejects ${found} would be found: set it on Threshold once this is live.`;
function showCheck(check) {
  misses = check?.bad ? check : null;
  by("live").className = misses ? "defect" : "good";
  by("remedies").disabled = !check || !shown;
  tellIn("checked", check?.words ?? "", Boolean(misses));
  const lines = check ? [...check.advice.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`), ...check.rates.map(rateWords)] : [];
  by("advised").replaceChildren(...lines.map((text) => { const item = document.createElement("li"); item.textContent = text; return item; }));
}

async function checkAll() {
  const files = images(by("known"));
  by("shown").replaceChildren();
  by("ways").hidden = true;
  if (!files.length) return;
  try {
    await act("api/setup/known", {});
  } catch (error) {
    return tellIn("checked", reason(error), true);
  }
  for (const file of files) {
    try {
      const said = await act(`api/setup/check?name=${encodeURIComponent(file.name)}`, file);
      by("shown").append(knownTile(file, said));
      showCheck(said.check);
    } catch (error) {
      tellIn("checked", `${file.name}: ${error.message}`, true);
    }
  }
}

function wayRow(way, known) {
  const row = document.createElement("tr");
  for (const text of way.refused ? [way.what, way.refused] : [way.what, `${way.found} of ${way.of}`, `${(100 * way.rate).toFixed(1)} %`, `${Math.round(way.frame_ms)} ms`]) row.insertCell().textContent = text;
  if (way.refused || way.what === "as it was taught") return row;
  const button = document.createElement("button");
  button.textContent = "Teach so";
  button.className = way.found > known ? "good" : "";
  button.addEventListener("click", async () => {
    if (way.smallest_defect_px) by("smallest").value = Math.round(way.smallest_defect_px);
    await teach("remedies-told", () => ({ ...again(), detector: way.detector, smallest_defect_px: way.smallest_defect_px ?? smallestDefect() }));
    await checkAll();
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
    tellIn("live-told", `Version ${made.version} judges from now on.`);
  } catch (error) {
    tellIn("live-told", error.message, true);
  }
}

by("live").addEventListener("click", () => {
  if (!misses) return goLive(false);
  by("sure-told").textContent = `${misses.words}.`;
  by("sure").showModal();
});
by("sure").addEventListener("close", () => { if (by("sure").returnValue === "yes") goLive(true); });
