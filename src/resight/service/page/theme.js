// Light or dark, as chosen before; it runs before the page is drawn. The switch is in main.js.
"use strict";

try {
  const chosen = localStorage.getItem("resight-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is refused to this page: the system's choice holds.
}
