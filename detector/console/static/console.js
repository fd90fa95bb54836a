// Keys, choosing several alerts, live arrival. Every page works without it.
"use strict";

const csrf = document.body.dataset.csrf;
document.body.addEventListener("htmx:configRequest", (event) => {
  if (csrf) event.detail.headers["X-CSRF-Token"] = csrf;
});

// What did not work is told where the eye is, not only in the browser's console
function tell(text) {
  const line = document.createElement("p");
  line.className = "failed";
  line.textContent = text;
  document.getElementById("live").replaceChildren(line);
}
document.body.addEventListener("htmx:responseError", (event) => {
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  tell(page.querySelector(".card p")?.textContent ?? document.body.dataset.failed);
});
document.body.addEventListener("htmx:sendError", () => tell(document.body.dataset.failed));

// Choosing several alerts
function choose() {
  const bar = document.querySelector("[data-bulkbar]");
  if (!bar) return;
  const n = document.querySelectorAll(".item > input:checked").length;
  bar.hidden = n === 0;
  bar.querySelector("[data-n-chosen]").textContent = n;
}
document.addEventListener("change", (event) => {
  if (event.target.matches(".item > input")) choose();
});

// Live arrival: the browser resumes by itself after the last number it has seen
const live = document.querySelector("[data-live]");
if (live && window.EventSource) {
  const arrived = new Set();
  const source = new EventSource(live.dataset.live);
  source.addEventListener("alert", (event) => {
    arrived.add(JSON.parse(event.data).alert_id);
    const link = document.createElement("a");
    link.href = location.pathname + location.search;
    link.textContent = `${arrived.size} ${live.dataset.liveText}`;
    document.getElementById("live").replaceChildren(link);
  });
  window.addEventListener("pagehide", () => source.close());
}

// Keys
const keys = document.getElementById("keys");
document.addEventListener("click", (event) => {
  if (event.target.closest('[data-open="keys"]')) keys.showModal();
});
let goes = false;
function move(step) {
  const items = [...document.querySelectorAll(".item")];
  if (!items.length) return;
  const at = items.findIndex((item) => item.classList.contains("here"));
  const next = items[Math.min(Math.max(at + step, 0), items.length - 1)];
  items.forEach((item) => item.classList.toggle("here", item === next));
  next.querySelector(".go").focus();
  next.scrollIntoView({ block: "nearest" });
}
function act(key) {
  const here = document.querySelector(".item.here");
  if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "x" && here) here.querySelector("input")?.click();
  else if (key === "?") keys.showModal();
  else if (key === "/") document.getElementById("search")?.focus();
  else if (key === "g") goes = true;
  else {
    const hot = document.querySelector(`[data-hot="${CSS.escape(key)}"]`);
    if (!hot) return false;
    hot.closest("details")?.setAttribute("open", "");
    if (hot.matches("button")) hot.click();
    else hot.focus();
  }
  return true;
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog[open]");
  if (event.key === "Escape" && !keys.open) {
    if (typing) event.target.blur();
    else document.querySelector("[data-back]")?.click();
    return;
  }
  if (typing) return;
  if (goes) {
    goes = false;
    const link = document.querySelector(`.rail [data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (act(event.key)) event.preventDefault();
});
