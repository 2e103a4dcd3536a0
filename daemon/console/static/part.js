"use strict";
// One part: its picture, and an answer about it. The page is drawn anew once the service has recorded what was said.
const ASK_MS = 300;
const RECORDED_MS = 6000;
const one = by("one").dataset;
const frame = { seq: one.seq, judged_ms: one.judged };
const image = by("image");
let kind = "heat";
let despite = null; // the verdict that is sent again although somebody else has answered
const mark = marking(by("stage"), image, by("region"), () => !image.hidden && by("good"));

function draw() {
  image.hidden = false;
  by("nothing").hidden = true;
  image.src = imageOf(frame, kind);
}

image.addEventListener("error", () => {
  image.hidden = true;
  by("nothing").hidden = false;
});

const recorded = async () => {
  const frames = await get(`api/why/${encodeURIComponent(one.frame)}`);
  return JSON.stringify(frames.find((each) => each.frame_id === one.frame)?.answers);
};

const buttons = ["good", "defect", "withdraw"].map(by).filter(Boolean);

async function said(send) {
  for (const button of buttons) button.disabled = true; // twice pressed is once said
  try {
    const before = await recorded();
    await send();
    tellIn("told", _("Sent."));
    for (let waited = 0; waited < RECORDED_MS; waited += ASK_MS) {
      await wait(ASK_MS);
      if (await recorded() !== before) {
        return toldAnew(_("Recorded: see what became of it below."));
      }
    }
    tellIn("told", _("Sent. The service records it as soon as it runs."));
  } catch (error) {
    tellIn("told", despite && error.status === 409 ? `${error.came}. ${_("Press again to say otherwise.")}` : reason(error), true);
  }
  for (const button of buttons) button.disabled = false;
}

const answer = (verdict) => said(async () => {
  const region = verdict === "defect" ? mark.region() : null;
  try {
    await act("api/answers", { frame_id: one.frame, verdict, region, key: newKey(), despite: despite === verdict });
  } catch (error) {
    despite = error.status === 409 ? verdict : null;
    throw error;
  }
});

by("good")?.addEventListener("click", () => answer("good"));
by("defect")?.addEventListener("click", () => answer("defect"));
by("withdraw")?.addEventListener("click", () => said(() => act("api/answers/withdraw", { frame_ids: [one.frame] })));
for (const other of ["heat", "depth"]) {
  by(other).addEventListener("click", () => { kind = kind === other ? "image" : other; draw(); });
}
document.addEventListener("keydown", (event) => {
  const button = { g: "good", d: "defect", h: "heat" }[event.key.toLowerCase()];
  if (!button || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  by(button)?.click();
});
toldBefore();
withoutBroken();
draw();
