"use strict";
// The oddest taught parts: looked at, and left out of the next teach where they are no good parts.
let leftOut = []; // names, of this batch
const marks = () => [...by("odd").querySelectorAll("input")];
const markedParts = () => marks().filter((mark) => mark.checked).map((mark) => mark.value);

function oddPart(draft, rank) {
  const { name, times } = draft.oddest[rank];
  const item = document.createElement("li");
  const label = document.createElement("label");
  const image = document.createElement("img");
  image.src = `setup/odd/${rank}.jpg?draft=${encodeURIComponent(draft.id)}`;
  image.alt = "";
  image.loading = "lazy";
  const mark = document.createElement("input");
  mark.type = "checkbox";
  mark.value = name;
  mark.addEventListener("change", () => {
    item.classList.toggle("NG", mark.checked);
    by("without").disabled = !markedParts().length;
  });
  const words = document.createElement("span");
  words.append(mark, ` ${times.toFixed(1)}×, ${name.replace(/^\d{5}-/, "")}`); // as it was sent
  words.title = name;
  label.append(image, words);
  item.append(label);
  return item;
}

function showOddest(draft) {
  by("odd").replaceChildren(...(draft?.oddest ?? []).map((__, rank) => oddPart(draft, rank)));
  by("without").disabled = true;
  if (!draft) return;
  leftOut = draft.without;
  tellIn("odd-told", `${draft.odd}. ${_("Mark those that are no good parts.")}`);
}
