"use strict";
// What all pages share: the stream of news, and whether it is there.
const news = new EventTarget();
const by = (id) => document.getElementById(id);
const link = by("link");
const get = (path) => fetch(path, { headers: { Accept: "application/json" } }).then((r) => (r.ok ? r.json() : Promise.reject(r)));
const imageOf = (frame, heat) => `/frames/${frame.seq}/${heat ? "heat" : "image"}.jpg`;

function listen() {
  const source = new EventSource("/events");
  source.onopen = () => { link.textContent = "live"; link.className = "link on"; news.dispatchEvent(new Event("back")); };
  source.onerror = () => { link.textContent = "no connection, trying again"; link.className = "link off"; };
  for (const kind of ["frame", "status"]) {
    source.addEventListener(kind, (event) => news.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data) })));
  }
}

function tile(frame) {
  const item = document.createElement("li");
  item.className = frame.verdict;
  item.dataset.frame = frame.frame_id;
  const image = document.createElement("img");
  image.src = imageOf(frame, false);
  image.alt = "";
  image.loading = "lazy";
  const name = document.createElement("span");
  name.textContent = `${frame.verdict} ${frame.part_id}`;
  item.append(image, name);
  return item;
}

listen();
