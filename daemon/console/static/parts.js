"use strict";
// Looking parts up: the time is the browser's, and what is left empty is not asked for. Those that are marked are answered
// together, and answers about them are taken back together.
const RECORDED_MS = 1500; // the service has recorded by then what was sent, if it runs
const until = by("until");
const untilMs = by("until_ms");
if (untilMs.value) {
  const at = new Date(Number(untilMs.value));
  until.value = `${clock(at).replace(" ", "T")}`;
}
by("search").addEventListener("submit", () => {
  // To the end of the minute that was named.
  untilMs.value = until.value ? String(new Date(until.value).getTime() + 59999) : "";
  for (const input of by("search").elements) if (input.name && input.value === "") input.disabled = true;
});

const marks = () => [...document.querySelectorAll(".mark")];
const marked = () => marks().filter((mark) => mark.checked).map((mark) => mark.value);

function count() {
  by("marked").hidden = !marked().length;
  by("count").textContent = _n("{count} part is marked", "{count} parts are marked", marked().length);
}

// Tell what came of it on the page as it is then.
async function again(text) {
  tellIn("told", text);
  await wait(RECORDED_MS);
  toldAnew(text);
}

async function together(send) {
  const buttons = by("marked").querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    await again(await send(marked()));
  } catch (error) {
    tellIn("told", reason(error), true);
  }
  for (const button of buttons) button.disabled = false;
}

const answer = (verdict) => together(async (names) => {
  const refused = [];
  for (const [at, name] of names.entries()) {
    tellIn("told", _("Sending {some} of {all}…", { some: at + 1, all: names.length }));
    try {
      await act("api/answers", { frame_id: name, verdict, key: newKey() });
    } catch (error) {
      if (![404, 409].includes(error.status)) { // only these are the part's own trouble
        for (const mark of marks()) if (names.slice(0, at).includes(mark.value)) mark.checked = false; // these are sent
        count();
        throw new Error(_("{some} of {all} were sent, the others are still marked. {why}", { some: at, all: names.length, why: reason(error) }));
      }
      refused.push(_("{part}: not taken. {why}", { part: name, why: error.came }));
    }
  }
  const sent = _n("{count} answer sent: {label}.", "{count} answers sent: {label}.", names.length - refused.length, { label: LABELS[verdict] });
  return [sent, ...refused].join(" ");
});

let last = null; // the mark that was set last: with shift all between it and the next are set
for (const mark of marks()) {
  mark.addEventListener("click", (event) => {
    const [from, to] = [marks().indexOf(last), marks().indexOf(mark)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const each of marks().slice(from, to + 1)) each.checked = mark.checked;
    last = mark;
    count();
  });
}
by("good")?.addEventListener("click", () => answer("good"));
by("defect")?.addEventListener("click", () => answer("defect"));
by("withdraw")?.addEventListener("click", () => together(async (names) => {
  const { sent } = await act("api/answers/withdraw", { frame_ids: names });
  return _n("{count} answer taken back.", "{count} answers taken back.", sent.length);
}));
by("every")?.addEventListener("click", () => {
  for (const mark of marks()) mark.checked = true;
  count();
});
if (by("told")) toldBefore();
withoutBroken();
