"use strict";
// Looking parts up: the time is the browser's, and what is left empty is not asked for.
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
withoutBroken();
