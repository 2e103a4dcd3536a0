"use strict";
// A report's time is the browser's; it is printed, or taken away as it is shown.
const form = by("search");
const local = (at_ms) => clock(new Date(Number(at_ms))).replace(" ", "T");
for (const [id, at] of [["since", form.dataset.since], ["until", form.dataset.until]]) {
  by(id).value = local(at);
  by(id).addEventListener("change", () => { form.elements[`${id}_ms`].value = by(id).value ? new Date(by(id).value).getTime() : ""; });
}
form.addEventListener("submit", () => {
  for (const input of form.elements) if (input.name && input.value === "") input.disabled = true;
});
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
by("zone").value = timeZone;
for (const link of document.querySelectorAll(".tabs a")) link.href += `&zone=${encodeURIComponent(timeZone)}`;
const query = new URLSearchParams({ since_ms: form.dataset.since, until_ms: form.dataset.until, lot: form.elements.lot.value, zone: timeZone });
for (const link of document.querySelectorAll(".take")) link.href = `reports/${link.dataset.file}?${query}`;
by("print").addEventListener("click", () => print());
withoutBroken();
