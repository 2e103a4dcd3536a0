"use strict";
document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = document.getElementById("told");
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ token: document.getElementById("token").value.trim() });
  const reply = await fetch("login", { method: "POST", headers, body }).catch(() => null);
  if (reply?.ok) return location.assign(document.baseURI);
  told.className = "told trouble";
  told.textContent = reply ? (await reply.json()).detail : _("No connection to the console.");
});
