// The page: what the address says is shown, and what people type or drop anywhere is taken.

import { go, here, toAsked } from "./address.js";
import { hooks } from "./api.js";
import { showCluster } from "./cluster.js";
import { showClusters } from "./clusters.js";
import { showDecisions } from "./decisions.js";
import { open, unlock } from "./dialogs.js";
import { h, isTyping } from "./dom.js";
import { calm, complain, tell } from "./notices.js";
import { searchFor } from "./query.js";
import { showSearch } from "./search.js";
import { gallery, refresh } from "./session.js";
import { showSightings } from "./sightings.js";
import { fitCards, listenToTheme } from "./switches.js";
import { many } from "./words.js";

const view = document.getElementById("view");
const places = new Map(); // how far each step of the history was scrolled down
let step = null;
let shown = { view: null, update: null, leave: new AbortController() };

async function start() {
  hooks.unlock = unlock;
  hooks.waiting = (seconds) =>
    tell(`The service is busy: trying again in ${many(seconds, "second")}.`);
  history.scrollRestoration = "manual";
  listenToTheme(document.getElementById("theme"));
  document.getElementById("help").addEventListener("click", () => open("keys"));
  try {
    await refresh();
  } catch (error) {
    document.body.classList.add("is-out");
    view.replaceChildren(
      h("h1", {}, "No answer"),
      h("p", { class: "empty", role: "alert" }, error.message),
      reload(),
    );
    return;
  }
  introduce();
  await fitCards().catch(complain);
  listen();
  await route({ isFirst: true });
}

function reload() {
  return h(
    "p",
    { class: "empty" },
    h("button", { type: "button", onclick: () => location.reload() }, "Try again"),
  );
}

/** Say whose page this is. */
function introduce() {
  const told = [many(gallery.rows, "crop"), many(gallery.cameras.length, "camera")];
  if (gallery.read_only) told.push("read-only");
  const title = document.getElementById("gallery");
  title.textContent = gallery.name;
  title.title = gallery.name;
  document.getElementById("holds").textContent = told.join(" · ");
  document.body.classList.toggle("read-only", gallery.read_only);
}

/** Show what the address says. */
async function route({ isFirst = false } = {}) {
  const address = here();
  const kind = address.view + (address.number === null ? "" : "/");
  const back = history.state?.step;
  step = back ?? Math.random();
  if (back === undefined) history.replaceState({ step }, "");
  calm();
  mark(address.view);
  const hadFocus =
    !isFirst && (document.activeElement === document.body || view.contains(document.activeElement));
  const isFilter =
    shown.view === kind && kind === "search" && document.activeElement?.closest("aside");
  try {
    await show(kind, address);
  } catch (error) {
    if (error.name === "AbortError") return;
    view.replaceChildren(
      h("h1", { tabindex: -1 }, error.status === 404 ? "Not here" : "No answer"),
      h("p", { class: "empty", role: "alert" }, error.message),
    );
  }
  if (address.view !== here().view) return;
  if (!isFilter) scrollTo(0, places.get(back) ?? 0);
  if (hadFocus && document.activeElement === document.body)
    view.querySelector("h1")?.focus({ preventScroll: true });
}

async function show(kind, address) {
  if (shown.view === kind && shown.update) return shown.update();
  shown.leave.abort();
  const leave = new AbortController();
  shown = { view: kind, update: null, leave };
  view.removeAttribute("aria-busy");
  const { signal } = leave;
  let title = "Search";
  if (kind === "search") {
    shown.update = showSearch(view, signal);
    document.title = `${title} · ${gallery.name} · resight`;
    return shown.update();
  }
  const kinds = {
    "crops/": showSightings,
    clusters: showClusters,
    "clusters/": showCluster,
    decisions: showDecisions,
    care: showCare,
  };
  const make = kinds[kind];
  if (!make) return go("#/search", { replace: true });
  const frame = h("div", { class: "wide" });
  view.setAttribute("aria-busy", "true");
  try {
    title = await make(frame, address, signal);
  } finally {
    if (!signal.aborted) {
      view.removeAttribute("aria-busy");
      view.replaceChildren(frame);
    }
  }
  document.title = `${title} · ${gallery.name} · resight`;
  return undefined;
}

function showCare(place) {
  place.replaceChildren(document.getElementById("care").content.cloneNode(true));
  return "Responsible use";
}

function mark(name) {
  const of = name === "crops" ? "search" : name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === of) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function listen() {
  addEventListener("hashchange", () => route());
  addEventListener("stale", () => {
    shown.view = null;
    introduce();
    route();
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is that of the view
    (view.querySelector(".answers h1, h1") ?? view).focus();
  });
  addEventListener("scroll", () => places.set(step, scrollY), { passive: true });
  addEventListener("keydown", press);
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("is-dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("is-dropping");
  });
  addEventListener("drop", (event) => {
    document.body.classList.remove("is-dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}

/** Search for pictures that were dropped or pasted; the filters of a search stay. */
function take(files) {
  const address = here();
  searchFor(files, toAsked(address.view === "search" ? address.fields : new URLSearchParams()));
}

async function press(event) {
  if (isTyping(event) || document.querySelector("dialog[open]")) return;
  if (event.key === "?") open("keys");
  else if (event.key === "/") {
    event.preventDefault();
    if (here().view !== "search") {
      go("#/search");
      await new Promise((resolve) =>
        addEventListener("hashchange", () => setTimeout(resolve), { once: true }),
      );
    }
    document.getElementById("choose")?.focus();
  }
}

start().catch(complain);
