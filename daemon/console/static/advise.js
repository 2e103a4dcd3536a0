"use strict";
// Each kind of detector, tried on the parts that were sent; one press teaches another one.
const percent = (share) => (share === undefined ? "" : `${Math.round(100 * share)} %`);
const FINDS = {
  "patch-bank": _("what looks unlike good parts, anywhere"),
  padim: _("the same, for parts that always lie alike"),
  simplenet: _("the same by a network, which learns within an hour"),
  composition: _("also what is missing, too many or elsewhere"),
  exported: _("what your exported model finds"),
};

function candidateRow(candidate, advised) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = candidate.detector === advised ? _("{detector} (advised)", candidate) : candidate.detector;
  name.append(document.createElement("br"), FINDS[candidate.detector] ?? "");
  row.append(name);
  if (candidate.refused) {
    const why = row.insertCell();
    why.colSpan = 6;
    why.textContent = candidate.refused;
    return row;
  }
  const teachIt = document.createElement("button");
  teachIt.textContent = _("Teach {detector}", candidate);
  teachIt.className = candidate.detector === advised ? "good" : "";
  teachIt.addEventListener("click", () => teach("advise-told", () => ({ ...again(), detector: candidate.detector })));
  const cells = [candidate.drawn_auroc?.toFixed(3) ?? "", percent(candidate.found), percent(candidate.false_rejects), `${Math.round(candidate.frame_ms)} ms`];
  for (const text of cells) row.insertCell().textContent = text;
  const sheet = document.createElement("a");
  sheet.href = `setup/sheets/${encodeURIComponent(candidate.detector)}.html?batch=${encodeURIComponent(batch)}`;
  sheet.target = "_blank";
  sheet.textContent = _("What it saw");
  row.insertCell().append(sheet);
  row.insertCell().append(teachIt);
  return row;
}

// What was found, where it is of the parts that the page shows.
function showCandidates(found) {
  const own = Boolean(found?.advised) && found.batch === batch;
  by("candidates").hidden = !own;
  by("candidates").tBodies[0].replaceChildren(...(own ? found.candidates : []).map((one) => candidateRow(one, found.advised)));
  if (own) tellIn("advise-told", found.colours_alone ? _("Advised: {advised}, by colours alone: no depth was looked at.", found) : _("Advised: {advised}.", found));
}

async function followAdvice() {
  for (const button of ["advise", "teach", "reteach", "without"]) by(button).disabled = true;
  showCandidates(null);
  const told = await followed((work) => {
    if (work?.what === "advise") tellIn("advise-told", howFar(work));
  });
  by("advise").disabled = !shown;
  by("teach").disabled = !images(by("goods")).length;
  by("reteach").disabled = false;
  if (told.work?.what !== "advise") tellIn("advise-told", _("The console was started anew, or other work came: try them again."), true);
  else if (told.work.error) tellIn("advise-told", told.work.error, true);
  else showCandidates(told.work.found);
}

by("advise").addEventListener("click", async () => {
  try {
    await act("api/setup/advise", { batch, smallest_defect_px: smallestDefect(), without: leftOut });
    await followAdvice();
  } catch (error) {
    tellIn("advise-told", reason(error), true);
  }
});
