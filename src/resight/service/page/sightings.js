// All sightings of an individual: on a time line, and one by one.

import { go, toCluster, toSearch, toSightings } from "./address.js";
import * as api from "./api.js";
import { card, picture } from "./cards.js";
import { askToDeleteCrop, askToDeleteIndividual } from "./deleting.js";
import { button, h, name } from "./dom.js";
import { navigable } from "./grid.js";
import { grow } from "./grow.js";
import { announce, complain } from "./notices.js";
import { gallery } from "./session.js";
import { timeline } from "./timeline.js";
import { moment } from "./times.js";
import * as verdicts from "./verdicts.js";
import { camera, extent, many } from "./words.js";

/** The view of the individual that a crop shows. */
export async function showSightings(place, { number: id }, signal) {
  const [{ crops, label }] = await Promise.all([
    api.sightings(id, signal),
    gallery.read_only ? null : verdicts.known(),
  ]);
  const crop = crops.find((one) => one.id === id);
  const timed = crops.filter((one) => one.time !== null);
  const untimed = crops.filter((one) => one.time === null);
  place.replaceChildren(
    head(crop, label, crops, place, signal),
    timed.length ? timeline(timed, { signal, pick: (one) => focusOn(place, one) }) : "",
    ...parts(crop, timed, untimed, signal),
  );
  announce(`${many(crops.length, "sighting")} of this individual.`);
  return `Sightings of crop ${id}`;
}

function head(crop, label, crops, place, signal) {
  return h(
    "header",
    { class: "individual" },
    h("div", { class: "portrait" }, picture(crop.id, crop.thumbnail, { loading: "eager" })),
    h(
      "div",
      { class: "about" },
      h("h1", { tabindex: -1 }, many(crops.length, "sighting")),
      h("p", { class: "hint" }, `of the individual in crop ${crop.id} · ${extent(crops)}`),
      known(crop, label),
    ),
    h(
      "div",
      { class: "tools" },
      h(
        "a",
        { class: "button primary", href: toSearch({ ids: [crop.id] }) },
        "Search from this crop",
      ),
      gallery.read_only ? null : changes(crop, crops, place, signal),
    ),
  );
}

function known(crop, label) {
  const facts = [
    ["Crop", `${crop.id}`],
    ["Camera", name(camera(crop.camera))],
    ["Time", moment(crop.time)],
    ["File", name(crop.path, { title: `${crop.source}: ${crop.path}` })],
    ["Track", crop.track],
    ["Cluster", label === null ? "none" : h("a", { href: toCluster(label) }, label)],
  ];
  const told = facts.filter(([, fact]) => fact !== null);
  const items = told.map(([term, fact]) => h("div", {}, h("dt", {}, term), h("dd", {}, fact)));
  return h("dl", { class: "known" }, items);
}

function changes(crop, crops, place, signal) {
  const other = crops.find((one) => one.id !== crop.id);
  const stay = () => go(other ? toSightings(other.id) : "#/search", { replace: true });
  const leave = () => go("#/search", { replace: true });
  const again = () => showSightings(place, { number: crop.id }, signal).catch(complain);
  return [
    button("trash", "Delete crop", {
      class: "trash",
      onclick: deleting(askToDeleteCrop, crop, stay),
    }),
    button("trash", "Delete individual", {
      class: "trash",
      onclick: deleting(askToDeleteIndividual, crop, leave),
    }),
    button("refresh", "Refresh", {
      class: "quiet",
      onclick: again,
      title: "After decisions, other crops may belong here",
    }),
  ];
}

/** The crops as cards: those of known times, then those of which only the order is known. */
function parts(crop, timed, untimed, signal) {
  const shown = [];
  if (timed.length) shown.push(["In order of time", null, timed]);
  if (untimed.length) {
    const words = timed.length
      ? "When these were seen is not known, so that they are not on the time line. They are in the order in which they were stored."
      : "When these were seen is not known, so that there is no time line. They are in the order in which they were stored.";
    shown.push([`No known time (${untimed.length})`, words, untimed]);
  }
  return shown.flatMap(([title, words, crops]) => {
    const list = h("ol", { class: "cards", "aria-label": title });
    const make = (one) => [
      card(one, { href: toSearch({ ids: [one.id] }), doing: "Search from", against: [crop.id] }),
    ];
    navigable(list, signal);
    const foot = grow(list, crops, make, { signal });
    return [h("h2", {}, title), words ? h("p", { class: "hint" }, words) : "", list, foot];
  });
}

/** Bring the card of a sighting into sight, though its part of the list may not be shown yet. */
async function focusOn(place, { id }) {
  let card = place.querySelector(`.card[data-id="${id}"]`);
  for (let foot = place.querySelector(".foot:not([hidden]) button"); !card && foot;) {
    foot.click();
    card = place.querySelector(`.card[data-id="${id}"]`);
    foot = place.querySelector(".foot:not([hidden]) button");
  }
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  card?.scrollIntoView({ block: "center", behavior: isCalm ? "auto" : "smooth" });
  card?.querySelector("a").focus({ preventScroll: true });
}

function deleting(ask, crop, done) {
  return async () => {
    try {
      if (await ask(crop)) done();
    } catch (error) {
      complain(error);
    }
  };
}
