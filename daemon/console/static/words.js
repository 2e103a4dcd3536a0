"use strict";
// The page's words in the reader's language (WORDS, by their English text; FORM, the plural form for a number), with values by
// name: _("{count} left", { count }).
const withValues = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
const _ = (text, values = {}) => withValues([WORDS[text] ?? text].flat()[0], values);
const _n = (one, many, count, values = {}) => withValues(WORDS[one]?.[FORM(count)] ?? (count === 1 ? one : many), { count, ...values });
const VERDICTS = { OK: _("OK"), NG: _("NG"), UNKNOWN: _("UNKNOWN") };
const LABELS = { good: _("good"), defect: _("defect") };

document.getElementById("language").addEventListener("change", ({ target }) => {
  const path = new URL(document.baseURI).pathname;
  document.cookie = `driftline-language=${target.value}; path=${path}; max-age=31536000; samesite=strict`;
  location.reload();
});
