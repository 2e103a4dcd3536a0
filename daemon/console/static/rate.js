"use strict";
// The parts of a study, one after the other. An answer waits for the next one, so that U takes it back.
const { study, rater, wanted } = by("rate").dataset;
const query = `?as=${encodeURIComponent(rater)}`;
const AGAIN = 2000;
let asked = [];
let held = null; // the last answer, not sent yet
let given = 0;
let seen = false; // the picture of the part that is asked about

function draw() {
  const one = asked[0];
  by("image").hidden = true;
  by("nothing").hidden = false;
  by("nothing").textContent = one ? _("Loading.") : _("All rated. Thank you.");
  seen = false; // no part is rated by the picture of the one before
  for (const id of ["good", "defect"]) by(id).disabled = true;
  by("undo").disabled = !held;
  by("place").textContent = one ? _("{some} of {all}, trial {trial}", { some: given + 1, all: given + asked.length, trial: one.trial }) : "";
  if (one) by("image").src = imageOf(one, "image");
}

async function send(answer) {
  for (;;) {
    try {
      const { trial, frame_id } = answer.part;
      return await act(`api/studies/${study}/ratings${query}`, { trial, frame_id, verdict: answer.verdict });
    } catch (error) {
      tellIn("told", reason(error), true);
      if (error.status) return null; // it was refused: asking again changes nothing
      await wait(AGAIN);
    }
  }
}

by("image").addEventListener("load", () => {
  seen = true;
  by("image").hidden = false;
  by("nothing").hidden = true;
  for (const id of ["good", "defect"]) by(id).disabled = false;
});
by("image").addEventListener("error", () => { by("nothing").textContent = _("There is no picture of this part, or no connection: open the study again."); });

function rate(verdict) {
  if (!asked.length || !seen) return;
  if (held) send(held);
  held = { part: asked.shift(), verdict };
  given += 1;
  tellIn("told", `${given}: ${LABELS[verdict]}`);
  if (!asked.length) { send(held); held = null; } // nothing comes that it could wait for
  draw();
}

function undo() {
  if (!held) return;
  asked.unshift(held.part);
  given -= 1;
  held = null;
  tellIn("told", _("Taken back."));
  draw();
}

const keys = { g: () => rate("good"), d: () => rate("defect"), u: undo };
document.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter") event.preventDefault();
  const act = keys[event.key.toLowerCase()];
  if (!act || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
for (const [id, key] of [["good", "g"], ["defect", "d"], ["undo", "u"]]) by(id).addEventListener("click", keys[key]);
by("back").addEventListener("click", async (event) => {
  event.preventDefault();
  const [last, where] = [held, event.currentTarget.href];
  held = null;
  if (last) await send(last);
  location.assign(where);
});
addEventListener("pagehide", () => {
  if (!held) return;
  const { trial, frame_id } = held.part;
  fetch(`api/studies/${study}/ratings${query}`, { method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ trial, frame_id, verdict: held.verdict }) }).catch(() => {});
});
get(`api/studies/${study}/questions${query}`).then((told) => { asked = told; given = Number(wanted) - told.length; draw(); }, () => tellIn("told", _("No connection to the console."), true));
