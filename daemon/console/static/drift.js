"use strict";
// The page is drawn by the server: anew when the scene changes, and once a minute.
const EVERY_MS = 60000;
const drawn = () => `${by("scene").dataset.trust} ${document.querySelectorAll("[data-cause]").length}`;
const began = drawn();
news.addEventListener("status", ({ detail }) => {
  const now = `${detail.drift?.trust ?? "unknown"} ${detail.drift?.cards.length ?? 0}`;
  if (now !== began) location.reload();
});
setInterval(() => { if (!document.hidden) location.reload(); }, EVERY_MS);
