// What a time line draws: lanes, the axis, the way, and sightings with their pictures.

import { patiently } from "./cards.js";
import { s } from "./dom.js";
import { layOut } from "./timespan.js";
import { moment, ticks } from "./times.js";
import { camera, spoken } from "./words.js";

export const ROW = 88;
export const HEAD = 30;
const THUMB = 72;
const TICK = 96;
const FAR = 1e5;
const STRENGTH = ["query", "confirmed", "cluster", "found"];

/** An SVG for so many rows. */
export function makeLanes(rows) {
  return s("svg", {
    class: "lanes",
    height: HEAD + ROW * rows,
    role: "group",
    "aria-label": "Sightings in order of time",
  });
}

/**
 * Draw a time line anew: { ordered, cameras, span, width, shape, choose }.
 * shape: width of pictures by their height. choose: is given the crops of a mark that is pressed.
 */
export function drawLanes(svg, line) {
  const thumb = Math.round(THUMB * line.shape);
  line.span.leaveRoom(thumb);
  const piles = layOut(line.ordered, line.span, line.width, thumb);
  svg.setAttribute("width", line.width);
  svg.replaceChildren(...lanes(line), ...axis(line), ...ways(line, piles));
  svg.append(...piles.map((pile) => mark(pile, line, thumb)));
  svg.querySelector(".sighting")?.setAttribute("tabindex", 0);
}

function lanes({ cameras, width }) {
  return cameras.map((_, row) => {
    const box = { x: 0, y: HEAD + ROW * row, width, height: ROW };
    return s("rect", { class: row % 2 ? "lane odd" : "lane", ...box });
  });
}

function axis({ span, width }) {
  const shown = ticks(span.from, span.to, width / TICK).map(({ at, label }) => ({
    x: span.x(at, width),
    label,
  }));
  return shown
    .filter(({ x }) => x > 20 && x < width - 20)
    .flatMap(({ x, label }) => [
      s("line", { class: "grid", x1: x, x2: x, y1: HEAD - 6, y2: "100%" }),
      s("text", { class: "tick", x, y: HEAD - 12 }, label),
    ]);
}

/** Lines from each sighting to the next: the known way, and the one that similarity suggests. */
function ways({ ordered, cameras, span, width }, piles) {
  const shown = new Map(piles.flatMap(({ crops, x }) => crops.map((one) => [one, x])));
  const known = ordered.filter((one) => one.why !== "found");
  const point = (one) => {
    const x = shown.get(one) ?? Math.min(Math.max(span.x(one.time, width), -FAR), FAR);
    return `${x.toFixed(1)} ${HEAD + ROW * (cameras.indexOf(one.camera) + 0.5)}`;
  };
  const step = (from, to) => `M${point(from)}L${point(to)}`;
  const guesses = pairs(ordered).filter((ends) => ends.some((one) => one.why === "found"));
  return [
    s("path", { class: "way guess", d: guesses.map((ends) => step(...ends)).join("") }),
    s("path", {
      class: "way",
      d: pairs(known)
        .map((ends) => step(...ends))
        .join(""),
    }),
  ];
}

const pairs = (crops) => crops.slice(1).map((crop, place) => [crops[place], crop]);

/** A sighting, or several that lie too close to each other to be told apart. */
function mark({ crops, x }, { cameras, choose }, thumb) {
  const crop = strongest(crops);
  const others = crops.length - 1;
  const top = HEAD + ROW * cameras.indexOf(crop.camera) + (ROW - THUMB) / 2;
  const box = { x: x - thumb / 2, y: top, width: thumb, height: THUMB, rx: 4 };
  const tip = `${camera(crop.camera)}\n${moment(crop.time)}${others ? `\nand ${others} more` : ""}`;
  const element = s(
    "g",
    {
      class: `sighting ${crop.why}`,
      role: "button",
      tabindex: -1,
      "data-id": crop.id,
      "data-ids": crops.map((one) => one.id).join(" "),
      "aria-label": others
        ? `${spoken(crop)}, and ${others} more at about this time`
        : spoken(crop),
      onclick: () => choose(crops),
    },
    s("title", {}, tip),
    others ? s("rect", { class: "under", ...box, x: box.x + 4, y: top - 4 }) : null,
    s("rect", { class: "back", ...box }),
  );
  if (crop.thumbnail) {
    const image = s("image", {
      href: crop.thumbnail,
      x: box.x + 2,
      y: top + 2,
      width: thumb - 4,
      height: THUMB - 4,
    });
    patiently(image, "href", () => image.remove());
    element.append(image);
  }
  element.append(s("rect", { class: "edge", ...box }));
  if (others) element.append(badge(crops.length, box.x + thumb, top + THUMB - 4));
  return element;
}

/** The sighting that is known best stands for all of a pile. */
function strongest(crops) {
  const rank = (one) => STRENGTH.indexOf(one.why);
  return crops.reduce((best, one) => (rank(one) < rank(best) ? one : best));
}

function badge(number, x, y) {
  const width = 12 + 7 * String(number).length;
  return s(
    "g",
    { class: "badge", transform: `translate(${x} ${y})` },
    s("rect", { x: -width / 2, y: -9, width, height: 18, rx: 9 }),
    s("text", { y: 4 }, number),
  );
}
