// Searching: the query and its filters on one side, answers or the gallery's crops on the other.

import { go, here, toAsked, toSearch } from "./address.js";
import * as api from "./api.js";
import { card } from "./cards.js";
import { h } from "./dom.js";
import { filterForm } from "./filters.js";
import { navigable } from "./grid.js";
import { grow, pages } from "./grow.js";
import { announce, complain } from "./notices.js";
import * as pictures from "./pictures.js";
import { queryBox } from "./query.js";
import { showResults } from "./results.js";
import { gallery, remembered } from "./session.js";
import { count } from "./words.js";
import { known } from "./verdicts.js";

const LISTED = 60;

/** The view; what it returns brings it up to date with a new address. */
export function showSearch(place, signal) {
  let running = new AbortController();
  const asked = () => toAsked(here().fields);
  const change = (what) => go(toSearch({ ...asked(), ...what }));
  const query = queryBox(asked);
  const filters = filterForm(change);
  const answers = h("section", { class: "answers", "aria-label": "Answers" });
  place.replaceChildren(
    h("div", { class: "search" }, h("aside", {}, query.element, filters.element), answers),
  );
  signal.addEventListener("abort", () => running.abort());

  return async function update() {
    running.abort();
    running = new AbortController();
    const now = asked();
    query.show();
    filters.show(now);
    answers.setAttribute("aria-busy", "true");
    try {
      await answer(answers, now, running.signal);
    } finally {
      if (!running.signal.aborted) answers.removeAttribute("aria-busy");
    }
  };
}

/** What people see when they dropped pictures into another tab's search. */
const LOST =
  "The pictures of this search are only in the tab where they were chosen: choose them again.";

async function answer(place, asked, signal) {
  if (!gallery.rows) return show(place, emptyGallery());
  if (!asked.ids.length && !asked.pictures) return browse(place, asked, signal);
  const files = asked.pictures && pictures.of(asked.pictures);
  if (asked.pictures && !files)
    return show(place, [title("Choose the pictures again"), h("p", { class: "empty" }, LOST)]);
  try {
    const found = await remembered(toSearch(asked), () => ask(asked, files, signal));
    if (asked.ids.length && !gallery.read_only) await known();
    if (signal.aborted) return undefined;
    const add = ({ id }) => go(toSearch({ ...asked, ids: [...asked.ids, id] }));
    return showResults(place, found, { asked, add, signal });
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    return show(place, [
      title("No answer"),
      h("p", { class: "empty", role: "alert" }, error.message),
      again(place, asked, signal),
    ]);
  }
}

function ask(asked, files, signal) {
  const { k, cameras, since, until, accepted, rerank, others } = asked;
  if (asked.ids.length) {
    const fields = {
      ids: asked.ids,
      k,
      cameras,
      since,
      until,
      accepted_only: accepted,
      rerank,
      same_camera: !others,
    };
    return api.searchStored(fields, signal);
  }
  const form = new FormData();
  for (const { file } of files) form.append("image", file);
  for (const camera of cameras) form.append("camera", camera);
  const fields = { k, since, until, accepted_only: accepted, rerank };
  for (const [key, value] of Object.entries(fields)) if (value !== null) form.append(key, value);
  return api.searchPictures(form, signal);
}

/** The gallery's crops, to start from one of them. */
async function browse(place, asked, signal) {
  const { cameras, since, until } = asked;
  const list = h("ol", { class: "cards", "aria-label": "Crops of the gallery" });
  const next = pages(
    (after) => api.crops({ after, limit: LISTED, camera: cameras, since, until }, signal),
    "crops",
  );
  const make = (crop) => [
    card(crop, { href: toSearch({ ...asked, ids: [crop.id] }), doing: "Search from" }),
  ];
  try {
    const first = await next();
    if (signal.aborted) return;
    navigable(list, signal);
    const foot = grow(list, first, make, { more: next, signal });
    const hint = "Choose a picture of somebody, or start from a crop that is stored here.";
    show(place, [
      h(
        "header",
        { class: "view-head" },
        title("Where else was this individual seen?"),
        h("p", { class: "hint" }, hint),
      ),
      list,
      foot,
    ]);
    if (!first.length) list.after(h("p", { class: "empty" }, "No crop passes these filters."));
    announce(`${count(first.length)} crops are shown.`);
  } catch (error) {
    complain(error);
  }
}

function again(place, asked, signal) {
  const retry = () => answer(place, asked, signal);
  return h("p", { class: "empty" }, h("button", { type: "button", onclick: retry }, "Try again"));
}

function emptyGallery() {
  const how = ["Fill it with ", h("code", {}, "resight index RUN DATA --gallery FOLDER"), "."];
  return [title("This gallery is empty"), h("p", { class: "empty" }, how)];
}

function title(words) {
  return h("h1", { tabindex: -1 }, words);
}

function show(place, nodes) {
  place.replaceChildren(...nodes);
}
