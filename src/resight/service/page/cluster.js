// One cluster: its crops, and how to split it.

import { toSearch, toSightings } from "./address.js";
import * as api from "./api.js";
import { card } from "./cards.js";
import { choice } from "./clusters.js";
import { button, h } from "./dom.js";
import { navigable } from "./grid.js";
import { grow, pages } from "./grow.js";
import { announce, tell } from "./notices.js";
import { gallery } from "./session.js";
import { change } from "./verdicts.js";
import { extent, many } from "./words.js";

const LISTED = 1000;
const COVER = 4;

/** The view of a cluster. */
export async function showCluster(place, { number: label }, signal) {
  const next = pages((after) => api.cluster(label, { after, limit: LISTED }, signal), "crops");
  const crops = [];
  for (let more = await next(); more; more = await next()) crops.push(...more);
  const chosen = new Set();
  const list = h("ol", { class: "cards", "aria-label": `Crops of cluster ${label}` });
  const bar = splitBar(label, crops, chosen, list);
  const pick = gallery.read_only ? null : { chosen, toggle: picker(crops, chosen, bar.show) };
  const make = (crop) => [
    card(
      { ...crop, label: null },
      { href: toSearch({ ids: [crop.id] }), doing: "Search from", pick },
    ),
  ];
  navigable(list, signal);
  const foot = grow(list, crops, make, { signal });
  place.replaceChildren(head(label, crops), list, foot, bar.element);
  bar.show();
  announce(`Cluster ${label}: ${many(crops.length, "crop")}.`);
  return `Cluster ${label}`;
}

function head(label, crops) {
  const cover = spread(crops);
  const why = "Crops of the same individual may be outside of this cluster";
  const search = { class: "button", href: toSearch({ ids: cover }), title: why };
  return h(
    "header",
    { class: "view-head" },
    h("h1", { tabindex: -1 }, `Cluster ${label}`),
    h("p", { class: "hint" }, `${many(crops.length, "crop")} · ${extent(crops)}`),
    h(
      "div",
      { class: "tools" },
      h("a", { class: "button", href: toSightings(cover[0]) }, "Time line"),
      h("a", search, "Search from it"),
      gallery.read_only ? null : choice({ label, size: crops.length, cover }),
    ),
  );
}

/** Ids of a few crops of as many cameras as there are. */
function spread(crops) {
  const firsts = [...new Map(crops.map((one) => [one.camera, one])).values()];
  return [...new Set([...firsts, ...crops])].slice(0, COVER).map((one) => one.id);
}

/** What choosing a crop does; with Shift, all from the last chosen one on. */
function picker(crops, chosen, show) {
  let last = null;
  return (id, isRange) => {
    const places = [last ?? id, id]
      .map((one) => crops.findIndex((crop) => crop.id === one))
      .sort((a, b) => a - b);
    const isOn = !chosen.has(id);
    const range = isRange ? crops.slice(places[0], places[1] + 1).map((crop) => crop.id) : [id];
    for (const one of range)
      if (isOn) chosen.add(one);
      else chosen.delete(one);
    last = id;
    show();
  };
}

function splitBar(label, crops, chosen, list) {
  const words = h("span", {});
  const run = button("split", "Split off", { class: "primary", onclick: split });
  const clear = button(null, "Clear", { class: "quiet", onclick: () => empty() });
  const element = h("section", { class: "bar", "aria-label": "Chosen crops" }, words, clear, run);
  function show() {
    for (const card of list.querySelectorAll(".card")) card.refresh?.();
    const isAll = chosen.size === crops.length;
    element.hidden = !chosen.size;
    run.disabled = isAll;
    words.textContent = isAll
      ? "All are chosen: leave those out that are another individual"
      : `${many(chosen.size, "crop")} chosen: one individual, but not that of the other ${crops.length - chosen.size}`;
  }
  function empty() {
    chosen.clear();
    show();
  }
  async function split() {
    if ((await change(() => api.split(label, [...chosen]))) === null) return;
    tell(`${many(chosen.size, "crop")} split off cluster ${label}.`, {
      words: "Look at the decisions",
      run: () => (location.hash = "#/decisions"),
    });
    window.dispatchEvent(new Event("stale"));
  }
  return { element, show };
}
