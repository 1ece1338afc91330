// What was decided, newest first, and how to take it back.

import { toSightings } from "./address.js";
import * as api from "./api.js";
import { picture, pictureOf } from "./cards.js";
import { button, h, icon, name } from "./dom.js";
import { grow, pages } from "./grow.js";
import { announce, tell } from "./notices.js";
import { gallery } from "./session.js";
import { ago, stamp } from "./times.js";
import { forget } from "./verdicts.js";
import { count, many } from "./words.js";

const LISTED = 500;
const SHOWN = 4;

/** The view of all decisions that count. */
export async function showDecisions(place, _, signal) {
  const next = pages((after) => api.decisions({ after, limit: LISTED }, signal), "decisions");
  const first = await next();
  const list = h("ol", { class: "decisions", "aria-label": "Decisions, newest first" });
  const more = async () => {
    const found = await next();
    return found && grouped(found);
  };
  const foot = grow(list, grouped(first), (group) => [entry(group)], { more, signal });
  place.replaceChildren(
    h(
      "header",
      { class: "view-head" },
      h("h1", { tabindex: -1 }, "Decisions"),
      h(
        "p",
        { class: "hint" },
        "What people said of pairs of crops, newest first. ",
        h("code", {}, "resight train --feedback"),
        " learns from it.",
      ),
    ),
    list,
    foot,
  );
  if (!first.length) place.append(nothing());
  announce(
    first.length ? `${count(first.length)} decisions are shown.` : "Nothing was decided yet.",
  );
  return "Decisions";
}

/** Decisions that were made at once, such as by a split, belong together. */
function grouped(decisions) {
  const groups = [];
  for (const one of decisions) {
    const last = groups.at(-1);
    if (last && last[0].time === one.time && last[0].by === one.by) last.push(one);
    else groups.push([one]);
  }
  return groups;
}

function entry(group) {
  const [{ time, by }] = group;
  const open = group.filter((one) => one.a !== null && one.b !== null);
  const back = async () => {
    if (!(await forget(open.map((one) => [one.a, one.b])))) return;
    const beside = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    (beside?.querySelector("button, a") ?? document.querySelector("h1")).focus();
    tell(
      group.length === 1
        ? "The decision is taken back."
        : `${many(open.length, "decision")} are taken back.`,
    );
  };
  const words = group.length === 1 ? "Take back" : `Take back all ${group.length}`;
  const element = h(
    "li",
    { class: "decision" },
    h("div", { class: "pairs" }, group.slice(0, SHOWN).map(pair), rest(group.slice(SHOWN))),
    h(
      "div",
      { class: "said" },
      group.length > 1 ? h("span", {}, counted(group)) : null,
      h(
        "time",
        stamp(time),
        ago(time),
      ),
      by ? h("span", { class: "soft" }, "by ", name(by)) : null,
      gallery.read_only || !open.length ? null : button("undo", words, { onclick: back }),
    ),
  );
  return element;
}

function counted(group) {
  const same = group.filter((one) => one.same).length;
  const told = [
    [same, "same"],
    [group.length - same, "different"],
  ].filter(([number]) => number);
  return told.map(([number, words]) => `${count(number)} ${words}`).join(", ");
}

function pair({ a, b, same }) {
  const words = same ? "same" : "different";
  return h(
    "span",
    { class: `pair ${words}` },
    crop(a),
    h("span", { class: "word" }, icon(same ? "check" : "cross"), words),
    crop(b),
  );
}

function rest(others) {
  if (!others.length) return null;
  const details = h("details", {}, h("summary", {}, `and ${many(others.length, "more pair")}`));
  details.addEventListener(
    "toggle",
    () => details.append(h("div", { class: "pairs" }, others.map(pair))),
    { once: true },
  );
  return details;
}

function crop(id) {
  if (id === null)
    return h(
      "span",
      { class: "gone", title: "This crop is not in the gallery any more" },
      "not here",
    );
  return h(
    "a",
    { href: toSightings(id), "aria-label": `Sightings of crop ${id}` },
    picture(id, pictureOf(id)),
    h("small", {}, id),
  );
}

function nothing() {
  const words = gallery.read_only
    ? "Nothing was decided yet."
    : "Nothing was decided yet. Search from a stored crop and say of its answers whether they are the same individual.";
  return h("p", { class: "empty" }, words);
}
