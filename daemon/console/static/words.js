"use strict";
// The page's words in the reader's language (WORDS, by their English text), with values by name: _("{count} left", { count }).
const PLURALS = ["zero", "one", "two", "few", "many", "other"]; // the order of a catalogue's forms
const pluralRules = new Intl.PluralRules(document.documentElement.lang);
const pluralForms = PLURALS.filter((form) => pluralRules.resolvedOptions().pluralCategories.includes(form));
const withValues = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
const _ = (text, values = {}) => withValues([WORDS[text] ?? text].flat()[0], values);
const _n = (one, many, count, values = {}) => {
  const form = WORDS[one]?.[pluralForms.indexOf(pluralRules.select(count))] ?? (count === 1 ? one : many);
  return withValues(form, { count, ...values });
};
const VERDICTS = { OK: _("OK"), NG: _("NG"), UNKNOWN: _("UNKNOWN") };
const LABELS = { good: _("good"), defect: _("defect") };

document.getElementById("language").addEventListener("change", ({ target }) => {
  const path = new URL(document.baseURI).pathname;
  document.cookie = `driftline-language=${target.value}; path=${path}; max-age=31536000; samesite=strict`;
  location.reload();
});
