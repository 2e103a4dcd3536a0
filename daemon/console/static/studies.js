"use strict";
// Planning a study.
by("plan")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, operators, parts, trials } = event.target.elements;
  const people = operators.value.split(",").map((each) => each.trim()).filter(Boolean);
  try {
    const made = await act("api/studies", { name: name.value, operators: people, parts: Number(parts.value), trials: Number(trials.value) });
    location.assign(`studies/${made.study}?wanted=${parts.value}`);
  } catch (error) {
    tellIn("told", reason(error), true);
  }
});
