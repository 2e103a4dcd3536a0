"use strict";
// The list is drawn by the server: anew once another version judges.
const judged = document.body.querySelector("[data-judges]")?.dataset.judges ?? "";
news.addEventListener("status", ({ detail }) => { if (String(detail.head ?? "") !== judged) location.reload(); });
