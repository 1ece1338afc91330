// A crop as a card: its picture, what is known of it, and what can be done with it.

import { toCluster, toSightings } from "./address.js";
import { askToDeleteCrop } from "./deleting.js";
import { complain } from "./notices.js";
import { h, icon, iconButton, name } from "./dom.js";
import { gallery } from "./session.js";
import { brief, moment } from "./times.js";
import { say, verdict } from "./verdicts.js";
import { camera, cosine, fileName, spoken } from "./words.js";

const TRIES = 3;
const WHY = {
  query: ["target", "asked for"],
  confirmed: ["check", "confirmed"],
  cluster: ["cluster", "same cluster"],
  found: ["search", "similar"],
};

/** The picture of a crop, or what stands for it where none is kept. */
export function picture(id, url, props = {}) {
  if (!url) return blank();
  const image = h("img", {
    src: url,
    alt: "",
    loading: "lazy",
    decoding: "async",
    draggable: "false",
    ...props,
  });
  patiently(image, "src", () => image.replaceWith(blank()));
  return image;
}

/** Try a picture again that did not come, as the service may have been busy; then do without. */
export function patiently(image, key, without) {
  const url = image.getAttribute(key);
  let tries = 0;
  image.addEventListener("error", () => {
    tries += 1;
    if (tries > TRIES) {
      without();
      return;
    }
    const again = () => image.setAttribute(key, `${url}?try=${tries}`);
    setTimeout(again, tries * (500 + 1000 * Math.random()));
  });
}

/** Where the picture of a crop is that is known by its id alone. */
export const pictureOf = (id) =>
  gallery.thumbnails === "none" ? null : `/api/crops/${id}/thumbnail`;

/**
 * A card.
 * href: where its picture leads. doing: what that is, in words. rank: its place among answers.
 * against: ids that it can be said to be the same as, or different from. add: what puts it into the
 * query. pick: { chosen, toggle } where cards can be selected. why: shown for sightings.
 */
export function card(crop, { href, doing, rank = null, against = [], add = null, pick = null }) {
  const element = h(
    "li",
    { class: "card", "data-id": crop.id },
    h(
      "a",
      { class: "picture", href, "aria-label": `${doing} ${spoken(crop)}` },
      picture(crop.id, crop.thumbnail),
      rank === null ? null : h("span", { class: "rank", "aria-hidden": "true" }, rank),
      crop.accepted ? h("span", { class: "mark" }, icon("check")) : null,
    ),
    facts(crop),
  );
  element.append(h("div", { class: "actions" }, buttons(element, crop, { against, add })));
  if (pick) element.append(selector(element, crop, pick));
  if (crop.accepted === true) element.classList.add("accepted");
  if (crop.accepted === false) element.classList.add("refused");
  return element;
}

function facts(crop) {
  const isRanked = crop.similarity !== undefined && crop.why !== "query";
  const whole = { title: `${crop.source}: ${crop.path}` };
  return h(
    "div",
    { class: "facts" },
    crop.why ? reason(crop.why) : null,
    isRanked ? similarity(crop) : null,
    fact("camera", name(camera(crop.camera))),
    fact("clock", h("span", { title: moment(crop.time) }, brief(crop.time))),
    fact("file", name(fileName(crop.path), whole)),
    crop.label === null ? null : label(crop.label),
  );
}

const fact = (symbol, told) => h("span", { class: `fact ${symbol}` }, icon(symbol), told);

function buttons(element, crop, { against, add }) {
  const isJudged = !gallery.read_only && against.length && !against.includes(crop.id);
  const look = () => (location.hash = toSightings(crop.id));
  const made = isJudged ? judges(element, crop, against) : [];
  made.push(
    iconButton("timeline", "All sightings of this individual", { "data-key": "t", onclick: look }),
  );
  if (add) {
    const join = () => add(crop);
    made.push(iconButton("plus", "Add to the query", { "data-key": "a", onclick: join }));
  }
  if (!gallery.read_only) {
    const drop = { "data-key": "Delete", class: "trash", onclick: () => remove(element, crop) };
    made.push(iconButton("trash", "Delete this crop", drop));
  }
  return made;
}

/** The mark of a reason why a crop is a sighting. */
export function reason(why) {
  const [symbol, words] = WHY[why];
  return h("span", { class: `why ${why}` }, icon(symbol), words);
}

/** Buttons that say "same" and "different"; a pressed one takes that back. */
function judges(element, crop, against) {
  const whom = against.length > 1 ? "the crops of the query" : `crop ${against[0]}`;
  const make = (kind, key, symbol, words) =>
    iconButton(symbol, words, {
      "data-key": key,
      class: kind,
      onclick: () => judge(kind),
    });
  const same = make("same", "s", "check", `Same individual as ${whom}`);
  const different = make("different", "d", "cross", `Another individual than ${whom}`);
  const judge = (kind) => {
    const told = verdict(against, crop.id);
    const isTaken = told !== null && told === (kind === "same");
    return say(isTaken ? "forget" : kind, against, crop.id);
  };
  element.refresh = () => {
    const told = verdict(against, crop.id);
    same.setAttribute("aria-pressed", told === true);
    different.setAttribute("aria-pressed", told === false);
    element.classList.toggle("is-same", told === true);
    element.classList.toggle("is-different", told === false);
  };
  element.refresh();
  return [same, different];
}

function similarity({ similarity: value }) {
  const parts = { "--v": Math.max(0, value) };
  if (gallery.threshold) parts["--t"] = gallery.threshold.similarity;
  return h(
    "span",
    { class: "similarity", title: `Similarity ${value.toFixed(4)}` },
    h("b", {}, cosine(value)),
    h("i", { style: parts, class: gallery.threshold ? "with-threshold" : null }),
  );
}

function label(number) {
  return h(
    "a",
    { class: "chip", href: toCluster(number), title: "The cluster that it is in" },
    `cluster ${number}`,
  );
}

function selector(element, crop, { chosen, toggle }) {
  const box = h("input", {
    type: "checkbox",
    class: "selector",
    "data-key": "x",
    "aria-label": `Select crop ${crop.id}`,
    onclick: (event) => toggle(crop.id, event.shiftKey),
  });
  element.refresh = () => {
    box.checked = chosen.has(crop.id);
    element.classList.toggle("is-chosen", box.checked);
  };
  element.refresh();
  return box;
}

async function remove(element, crop) {
  try {
    if (!(await askToDeleteCrop(crop))) return;
  } catch (error) {
    complain(error);
    return;
  }
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  neighbour?.querySelector("a")?.focus();
}

function blank() {
  return h("span", { class: "blank" }, icon("person"));
}
