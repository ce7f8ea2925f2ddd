// Language and scheme are set before anything is painted. A file opened from disk may have no storage.
"use strict";
const memory = {
  get(key) { try { return localStorage.getItem("dujiang-" + key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem("dujiang-" + key, value); } catch { /* not remembered */ } },
};
const root = document.documentElement;
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const state = {
  lang: memory.get("lang") || ((navigator.language || "").toLowerCase().startsWith("zh") ? "zh" : "en"),
  scheme: memory.get("scheme"),
};
function theme() { return state.scheme || (systemDark.matches ? "dark" : "light"); }
function dress() {
  root.lang = root.dataset.lang = state.lang;
  root.dataset.theme = theme();
}
dress();
