// A time line: a row for each camera, sightings where they were, and the way between them.

import { reason } from "./cards.js";
import { h, iconButton, name } from "./dom.js";
import { drawLanes, HEAD, makeLanes, ROW } from "./timelanes.js";
import { listenToPointers } from "./timepointers.js";
import { Span } from "./timespan.js";
import { span as told } from "./times.js";
import { camera, many } from "./words.js";

const STEP = 1.6;
const WIDEST = 1.4;

/** The time line of crops with known times; pick: what happens when one is chosen. */
export function timeline(crops, { pick, signal }) {
  const ordered = [...crops].sort((a, b) => a.time - b.time || a.id - b.id);
  const cameras = [...new Set(ordered.map((one) => one.camera))];
  const [first, last] = [ordered[0].time, ordered.at(-1).time];
  const line = { ordered, cameras, span: new Span(first, last), width: 0, shape: 0.5, choose };
  const svg = makeLanes(cameras.length);
  const when = h("span", { class: "hint", "aria-live": "polite" });
  const zoom = (factor, at) => {
    line.span.zoom(factor, at);
    draw();
  };
  const closer = iconButton("zoom-in", "Closer (+)", { onclick: () => zoom(1 / STEP) });
  const further = iconButton("zoom-out", "Further away (−)", { onclick: () => zoom(STEP) });
  const fit = iconButton("fit", "All of it (0)", { onclick: () => zoom(Infinity) });
  const box = h("div", { class: "lanes-box" }, svg);

  function draw() {
    if (!line.width) return;
    const kept = document.activeElement?.closest?.(".sighting")?.dataset.id;
    drawLanes(svg, line);
    when.textContent = told(line.span.from, line.span.to);
    further.disabled = fit.disabled = line.span.isWhole;
    closer.disabled = !line.span.canZoom;
    if (kept) focusMark(svg, kept);
  }
  function choose(pile) {
    const times = pile.map((one) => one.time);
    if (pile.length > 1 && line.span.show(Math.min(...times), Math.max(...times))) draw();
    else pick(pile[0]);
  }

  svg.addEventListener("keydown", (event) => walk(event, svg, line, draw, zoom));
  listenToPointers(box, line.span, draw, zoom);
  watchSize(box, line, draw, signal);
  const words = `${many(ordered.length, "sighting")}, ${many(cameras.length, "camera")}, ${told(first, last)}`;
  return h(
    "section",
    { class: "timeline", "aria-label": `Time line: ${words}` },
    h(
      "div",
      { class: "timeline-head" },
      legend(ordered),
      when,
      h("div", { class: "zoom" }, closer, further, fit),
    ),
    h("div", { class: "lanes-frame" }, names(cameras), box),
  );
}

/** Draw at the size that there is, with pictures as wide as the gallery's are. */
function watchSize(box, line, draw, signal) {
  const watch = new ResizeObserver(([{ contentRect }]) => {
    const shape = getComputedStyle(document.documentElement).getPropertyValue("--shape");
    line.width = Math.floor(contentRect.width);
    line.shape = Math.min(WIDEST, Number(shape) || line.shape);
    draw();
  });
  watch.observe(box);
  signal.addEventListener("abort", () => watch.disconnect());
}

function names(cameras) {
  const style = { "padding-top": `${HEAD}px`, "--row": `${ROW}px` };
  const items = cameras.map((one) => h("li", {}, name(camera(one))));
  return h("ol", { class: "lane-names", "aria-label": "Cameras", style }, items);
}

function legend(crops) {
  const reasons = ["query", "confirmed", "cluster", "found"].filter((why) =>
    crops.some((one) => one.why === why),
  );
  return h("p", { class: "legend" }, reasons.map(reason));
}

/** Keys on the time line: arrows walk along it, + and − zoom, Enter chooses. */
function walk(event, svg, { ordered, span }, draw, zoom) {
  const at = event.target.closest(".sighting");
  const ids = at.dataset.ids.split(" ").map(Number);
  const place = (id) => ordered.findIndex((one) => one.id === id);
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const row = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key === "Enter" || event.key === " ")
    at.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  else if (row) focusMark(svg, besides(svg, at, row).dataset.id);
  else if (step) {
    const next = ordered[place(ids.at(step > 0 ? -1 : 0)) + step];
    if (next && span.bring(next.time)) draw();
    if (next) focusMark(svg, next.id);
  } else if (event.key === "+" || event.key === "=")
    zoom(1 / STEP, span.share(ordered[place(ids[0])].time));
  else if (event.key === "-") zoom(STEP);
  else if (event.key === "0") zoom(Infinity);
  else return;
  event.preventDefault();
}

/** The nearest sighting of the next camera above or below. */
function besides(svg, at, step) {
  const here = at.getBoundingClientRect();
  const far = (one) => {
    const { top, left } = one.getBoundingClientRect();
    const rows = Math.round((step * (top - here.top)) / ROW);
    return rows < 1 ? Infinity : 1e5 * rows + Math.abs(left - here.left);
  };
  return [...svg.querySelectorAll(".sighting")].reduce(
    (best, one) => (far(one) < far(best) ? one : best),
    at,
  );
}

/** Focus the mark that a crop is in; it is the one that Tab comes back to. */
function focusMark(svg, id) {
  const marks = [...svg.querySelectorAll(".sighting")];
  const found = marks.find((one) => one.dataset.ids.split(" ").includes(String(id)));
  for (const one of marks) one.setAttribute("tabindex", one === found ? 0 : -1);
  found?.focus();
}
