"use strict";
// Each kind of detector, tried on the parts that were sent; one press teaches another one.
let detector = null; // of this batch; null: as the settings say
const percent = (share) => (share === undefined ? "" : `${Math.round(100 * share)} %`);

function candidateRow(candidate, advised) {
  const row = document.createElement("tr");
  const teachIt = document.createElement("button");
  teachIt.textContent = `Teach ${candidate.detector}`;
  teachIt.className = candidate.detector === advised ? "good" : "";
  teachIt.disabled = Boolean(candidate.refused);
  teachIt.addEventListener("click", () => {
    detector = candidate.detector;
    teach("advise-told", again);
  });
  const name = `${candidate.detector}${candidate.detector === advised ? " (advised)" : ""}`;
  const frame = candidate.frame_ms === undefined ? "" : `${Math.round(candidate.frame_ms)} ms`;
  const auroc = candidate.drawn_auroc?.toFixed(3) ?? candidate.refused ?? "";
  for (const text of [name, auroc, percent(candidate.found), percent(candidate.false_rejects), frame]) {
    row.insertCell().textContent = text;
  }
  row.insertCell().append(teachIt);
  return row;
}

function showCandidates(found) {
  by("candidates").hidden = !found;
  by("candidates").tBodies[0].replaceChildren(...(found?.candidates ?? []).map((one) => candidateRow(one, found.advised)));
}

by("advise").addEventListener("click", async () => {
  by("advise").disabled = true;
  showCandidates(null);
  try {
    await act("api/setup/advise", { batch, smallest_defect_px: smallestDefect() });
    const told = await followed((work) => {
      if (work?.what === "advise") tellIn("advise-told", `${work.step || "loading the backbone"}: ${work.done} of ${work.of}`);
    });
    tellIn("advise-told", told.work?.error ?? `Advised: ${told.work.found.advised}.`, Boolean(told.work?.error));
    if (!told.work?.error) showCandidates(told.work.found);
  } catch (error) {
    tellIn("advise-told", error.expected ? `Expected ${error.expected}; came ${error.message}` : error.message, true);
  }
  by("advise").disabled = !shown;
});
