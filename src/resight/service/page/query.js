// What is searched for: pictures that were dropped, pasted or chosen, or stored crops.

import { go, toSearch, toSightings } from "./address.js";
import { picture, pictureOf } from "./cards.js";
import { h, icon, iconButton } from "./dom.js";
import * as pictures from "./pictures.js";

const FIRST = "Choose pictures of one individual";
const MORE = "Add pictures of the same individual";
const HINT = "or drop or paste them anywhere. Several make one query.";

/** The box that shows the query; asked: () gives what is asked for now. */
export function queryBox(asked) {
  const list = h("ul", { class: "query-pictures" });
  const field = fileField(asked);
  const words = h("b", {});
  const hint = h("small", { id: "choose-hint" }, HINT);
  const place = h("label", { class: "drop", for: "choose" }, icon("upload"), words, hint);
  const sightings = h("a", { class: "button" }, icon("timeline"), "All sightings");
  const parts = [list, sightings, field, place];
  const element = h("section", { class: "query", "aria-label": "Query" }, parts);
  const show = () => {
    const now = asked();
    const hadFocus = list.contains(document.activeElement);
    const isEmpty = !now.ids.length && !now.pictures;
    list.replaceChildren(...storedOnes(now), ...uploadedOnes(now));
    list.hidden = isEmpty;
    sightings.hidden = now.ids.length !== 1;
    sightings.href = toSightings(now.ids[0]);
    words.textContent = now.pictures ? MORE : FIRST;
    element.classList.toggle("is-empty", isEmpty);
    if (hadFocus) field.focus();
  };
  return { element, show };
}

function fileField(asked) {
  const field = h("input", {
    type: "file",
    id: "choose",
    accept: "image/*",
    multiple: true,
    class: "visually-hidden",
    "aria-describedby": "choose-hint",
    onchange: () => {
      searchFor(field.files, asked(), { adding: Boolean(asked().pictures) });
      field.value = "";
    },
  });
  return field;
}

function storedOnes(asked) {
  return asked.ids.map((id) => {
    const left = { ...asked, ids: asked.ids.filter((one) => one !== id) };
    return shown(`crop ${id}`, picture(id, pictureOf(id), { loading: "eager" }), () => left);
  });
}

function uploadedOnes(asked) {
  return (pictures.of(asked.pictures) ?? []).map(({ file, url }, at) => {
    const left = () => ({ ...asked, pictures: pictures.without(asked.pictures, at) });
    return shown(file.name, h("img", { src: url, alt: "" }), left);
  });
}

/** Search for files that somebody gave; the filters stay. */
export function searchFor(files, asked, { adding = false } = {}) {
  const key = adding ? pictures.extend(asked.pictures, files) : pictures.keep(files);
  if (key) go(toSearch({ ...asked, ids: [], pictures: key, others: false }));
}

/** A part of the query; left: gives what is asked for without it. */
function shown(words, image, left) {
  const drop = iconButton("close", `Take ${words} out of the query`, {
    onclick: () => go(toSearch(left())),
  });
  return h("li", { title: words }, image, drop);
}
