// Which crops can be answers, and how many.

import { button, h, name } from "./dom.js";
import { gallery } from "./session.js";
import { fromField, isClock, toField } from "./times.js";
import { camera, cosine, count, rate } from "./words.js";

const NUMBERS = [10, 24, 50, 100, 250, 500, 1000];
const MANY_CAMERAS = 10;
const NONE = {
  cameras: [],
  since: null,
  until: null,
  accepted: false,
  others: false,
  rerank: false,
};
const OTHERS = "Without the cameras of the query's crops.";
const RERANK = "k-reciprocal re-ranking of the first 100.";
const NARROW = matchMedia("(max-width: 860px)");

/** The form; change: is called with what is changed of what is asked for. */
export function filterForm(change) {
  const parts = {
    cameras: cameraBoxes(change),
    since: timeField("From", "since", change),
    until: timeField("Until", "until", change),
    k: numberField(change),
    accepted: toggle("accepted", "Accepted only", thresholdWords(), change),
    others: toggle("others", "Other cameras only", OTHERS, change),
    rerank: toggle("rerank", "Re-rank", RERANK, change),
  };
  const clear = button("undo", "Clear filters", { class: "quiet", onclick: () => change(NONE) });
  const summary = h("summary", {}, "Filters");
  const element = h(
    "details",
    { class: "filters", open: !NARROW.matches },
    summary,
    h("form", { onsubmit: (event) => event.preventDefault() }, fieldsets(parts), clear),
  );
  const show = (asked) => {
    const offered = { accepted: Boolean(gallery.threshold), others: asked.ids.length > 0 };
    for (const [key, part] of Object.entries(parts)) part.show(asked[key], offered[key]);
    const used = Object.keys(NONE).filter((key) => String(asked[key]) !== String(NONE[key])).length;
    clear.hidden = !used;
    summary.textContent = used ? `Filters (${used})` : "Filters";
  };
  return { element, show };
}

function fieldsets({ cameras, since, until, k, accepted, others, rerank }) {
  const times = h("fieldset", {}, h("legend", {}, "Time"), since.element, until.element, zone());
  const switches = [accepted, others, rerank].flatMap((one) => one.element);
  const answers = h("fieldset", {}, h("legend", {}, "Answers"), k.element, switches);
  return [cameras.element, gallery.times ? times : null, answers];
}

function cameraBoxes(change) {
  const boxes = gallery.cameras.map((one) => {
    const box = h("input", { type: "checkbox", value: one.name, onchange: tell });
    const element = h(
      "label",
      { class: "check" },
      box,
      name(camera(one.name)),
      h("small", {}, count(one.rows)),
    );
    return { box, element, text: camera(one.name).toLowerCase() };
  });
  function tell() {
    change({ cameras: boxes.filter(({ box }) => box.checked).map(({ box }) => box.value) });
  }
  const find = h("input", {
    type: "search",
    placeholder: "Find a camera",
    "aria-label": "Find a camera",
    oninput: () => {
      for (const one of boxes) one.element.hidden = !one.text.includes(find.value.toLowerCase());
    },
  });
  const element = h(
    "fieldset",
    {},
    h("legend", {}, "Cameras"),
    boxes.length > MANY_CAMERAS ? find : null,
    h(
      "div",
      { class: "cameras" },
      boxes.map((one) => one.element),
    ),
  );
  element.hidden = boxes.length < 2;
  const show = (chosen) => {
    for (const { box } of boxes) box.checked = chosen.includes(box.value);
  };
  return { element, show };
}

function timeField(words, key, change) {
  const tell = () => {
    const time = fromField(field.value);
    field.setCustomValidity(
      Number.isNaN(time) ? "Give seconds, or hours, minutes and seconds such as 1:02:03." : "",
    );
    if (field.reportValidity()) change({ [key]: time });
  };
  const kind = isClock()
    ? { type: "datetime-local" }
    : { type: "text", placeholder: "0:00:00", size: 9 };
  const field = h("input", { id: key, onchange: tell, ...kind });
  const element = h("p", { class: "line" }, h("label", { for: key }, words), field);
  return { element, show: (time) => (field.value = toField(time)) };
}

function zone() {
  if (!isClock()) return null;
  return h(
    "p",
    { class: "hint" },
    `In your time zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`,
  );
}

function toggle(key, words, about, change) {
  const tell = () => change({ [key]: box.checked });
  const told = `about-${key}`;
  const box = h("input", {
    type: "checkbox",
    role: "switch",
    "aria-describedby": told,
    onchange: tell,
  });
  const show = (isOn, isOffered = true) => {
    box.checked = isOn && isOffered;
    box.disabled = !isOffered;
  };
  const note = h("p", { class: "hint under", id: told }, about);
  return { element: [h("label", { class: "check" }, box, words), note], show };
}

function thresholdWords() {
  const { threshold } = gallery;
  if (!threshold) return "Not offered: no threshold was calibrated.";
  return `Similarity of ${cosine(threshold.similarity)} or more: ${rate(threshold.far)}.`;
}

function numberField(change) {
  const select = h("select", {
    id: "number",
    onchange: () => change({ k: Number(select.value) }),
  });
  const show = (number) => {
    const offered = [...new Set([...NUMBERS, number])].sort((a, b) => a - b);
    select.replaceChildren(...offered.map((one) => h("option", { value: one }, count(one))));
    select.value = number;
  };
  const element = h("p", { class: "line" }, h("label", { for: "number" }, "At most"), select);
  return { element, show };
}
