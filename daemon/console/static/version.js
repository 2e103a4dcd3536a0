"use strict";
// What going back to a version would change, and going back.
const number = by("version").dataset.number;
const SAID = { // what people call it, and whether the verdict would be better or worse
  good: [_("people call it good: better"), _("people call it good: worse")],
  defect: [_("people call it a defect: better"), _("people call it a defect: worse")],
};

function progress(work) {
  by("progress").hidden = !work || work.ended;
  if (work?.of) { by("progress").max = work.of; by("progress").value = work.done; }
}

function differing({ judged, differ, before, after }) {
  const values = { some: differ.length, all: judged, before };
  tellIn("told", differ.length
    ? _("{some} of the newest {all} kept parts would be judged differently than by version {before}:", values)
    : _("None of the newest {all} kept parts would be judged differently than by version {before}.", values));
  by("differ").replaceChildren(...differ.map((one) => {
    const wrong = one.label && (one.label === "defect") !== (one.verdicts[1] === "NG");
    const item = tile({ ...one, verdict: wrong ? "NG" : one.label ? "OK" : "UNKNOWN" }, "heat"); // red: worse than before
    const link = document.createElement("a");
    link.href = `parts/${one.seq}`;
    link.append(item.firstChild, ...[
      `${one.part_id}: ${one.verdicts.map((verdict) => VERDICTS[verdict]).join(" → ")}`,
      _("{scores} thresholds", { scores: one.scores.join(" → ") }),
      one.label ? SAID[one.label][Number(wrong)] : _("nobody has settled it"),
    ].map((text) => { const line = document.createElement("span"); line.textContent = text; return line; }));
    item.replaceChildren(link);
    return item;
  }));
}

by("compare")?.addEventListener("click", async () => {
  by("compare").disabled = true;
  tellIn("told", _("Comparing…"));
  try {
    await act(`api/versions/${number}/compare`);
    const { work } = await followed(progress);
    if (work.error) tellIn("told", work.error, true);
    else differing(work.found);
  } catch (error) {
    tellIn("told", error.message, true);
  }
  by("compare").disabled = false;
});

by("rollback")?.addEventListener("click", async () => {
  if (!await sure()) return;
  try {
    const made = await act(`api/versions/${number}/rollback`);
    location.assign(`versions/${made.version}`);
  } catch (error) {
    tellIn("told", error.message, true);
  }
});
withoutBroken(); // not every taught part's image is kept
