"use strict";
// The parts of a study, one after the other. An answer waits for the next one, so that U takes it back.
const { study, rater } = by("rate").dataset;
const query = `?as=${encodeURIComponent(rater)}`;
const AGAIN = 2000;
let asked = [];
let held = null; // the last answer, not sent yet
let given = 0;

function draw() {
  const one = asked[0];
  by("image").hidden = !one;
  by("nothing").hidden = Boolean(one);
  by("nothing").textContent = "All rated. Thank you.";
  for (const id of ["good", "defect"]) by(id).disabled = !one;
  by("undo").disabled = !held;
  by("place").textContent = one ? `Part ${given + 1} of ${given + asked.length}, trial ${one.trial}` : "";
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

function rate(verdict) {
  if (!asked.length) return;
  if (held) send(held);
  held = { part: asked.shift(), verdict };
  given += 1;
  tellIn("told", `Part ${given}: ${verdict}`);
  if (!asked.length) { send(held); held = null; } // nothing comes that it could wait for
  draw();
}

function undo() {
  if (!held) return;
  asked.unshift(held.part);
  given -= 1;
  held = null;
  tellIn("told", "Taken back.");
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
addEventListener("pagehide", () => {
  if (!held) return;
  const { trial, frame_id } = held.part;
  fetch(`api/studies/${study}/ratings${query}`, { method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ trial, frame_id, verdict: held.verdict }) }).catch(() => {});
});
get(`api/studies/${study}/questions${query}`).then((told) => { asked = told; draw(); }, () => tellIn("told", "No connection to the console.", true));
