// The ranked gallery: answers best first, and where acceptance ends.

import { toSearch } from "./address.js";
import { card } from "./cards.js";
import { h, icon } from "./dom.js";
import { navigable } from "./grid.js";
import { grow } from "./grow.js";
import { announce } from "./notices.js";
import { gallery } from "./session.js";
import { cosine, count, many, rate } from "./words.js";

/** Show an answer of the service. asked: what was asked for; add: puts a crop into the query. */
export function showResults(place, answer, { asked, add, signal }) {
  const { hits } = answer;
  const list = h("ol", { class: "cards", "aria-label": "Answers, best first" });
  const end = endOfAcceptance(answer, asked);
  const judged = asked.ids;
  const make = ({ hit, at }) =>
    [
      at === end ? acceptanceLine() : null,
      card(hit, {
        href: toSearch({ ...asked, ids: [hit.id], pictures: null }),
        doing: "Search from",
        rank: at + 1,
        against: judged,
        add: judged.length && judged.length < 8 ? add : null,
      }),
    ].filter(Boolean);
  const title = heading(answer);
  const foot = [];
  navigable(list, signal);
  if (hits.length)
    foot.push(
      grow(
        list,
        hits.map((hit, at) => ({ hit, at })),
        make,
        { signal },
      ),
    );
  if (hits.length && end === hits.length) list.append(acceptanceLine());
  place.replaceChildren(
    h(
      "header",
      { class: "view-head" },
      h("h1", { tabindex: -1 }, title),
      h("p", { class: "hint" }, howFound(answer)),
    ),
    ...verdictOf(answer, asked),
    list,
    ...foot,
  );
  if (!hits.length) place.append(nothing(asked));
  announce(`${title}. ${hits.length ? `Best similarity ${cosine(hits[0].similarity)}.` : ""}`);
}

/** The rank at which accepted answers end, null where there is no such place. */
function endOfAcceptance({ hits, reranked, unknown }, asked) {
  if (reranked || unknown || !gallery.threshold || asked.accepted) return null;
  const accepted = hits.filter((hit) => hit.accepted).length;
  return accepted === asked.k ? null : accepted;
}

function acceptanceLine() {
  const { similarity, far } = gallery.threshold;
  return h(
    "li",
    { class: "acceptance", title: `Threshold calibrated for ${rate(far)}` },
    h(
      "span",
      {},
      h("b", {}, `Acceptance ends here, at ${cosine(similarity)}. `),
      "What follows is not similar enough.",
    ),
  );
}

function heading({ hits, unknown }) {
  if (unknown) return "Unknown";
  const accepted = hits.filter((hit) => hit.accepted).length;
  if (unknown === null) return many(hits.length, "answer");
  return `${count(accepted)} accepted of ${many(hits.length, "answer")}`;
}

function howFound({ exact, reranked, milliseconds }) {
  const { recall } = gallery.index;
  const approximate =
    recall === null ? "approximate search" : `approximate search, recall@10 ${recall.toFixed(3)}`;
  const told = [
    exact ? "exact search" : approximate,
    `${Math.max(1, Math.round(milliseconds))} ms`,
  ];
  if (reranked)
    told.unshift("re-ranked: in the order of k-reciprocal re-ranking, not of similarity");
  return told.join(" · ");
}

/** What is to be known about all answers together. */
function verdictOf({ hits, unknown }, asked) {
  const told = [];
  if (unknown) {
    const best = hits.length
      ? `; the best has ${cosine(Math.max(...hits.map((hit) => hit.similarity)))}`
      : "";
    const needed = `a similarity of ${cosine(gallery.threshold.similarity)}`;
    told.push(
      h(
        "div",
        { class: "banner unknown" },
        icon("unknown"),
        h(
          "p",
          {},
          h("b", {}, "This individual is not known here. "),
          `No crop reaches ${needed}, from which on two count as one individual${best}.`,
        ),
      ),
    );
  }
  if (unknown === null && hits.length) {
    const how = [
      h("code", {}, "resight calibrate RUN"),
      ", then ",
      h("code", {}, "resight index"),
      " again, gives one.",
    ];
    told.push(
      h(
        "p",
        { class: "hint" },
        "Without a calibrated threshold nothing tells which of these show the same individual. ",
        how,
      ),
    );
  }
  if (unknown !== null && gallery.threshold.notes.length) {
    const notes = gallery.threshold.notes.map((note) => h("li", {}, note));
    told.push(
      h("div", { class: "hint notes" }, "Before you trust the threshold:", h("ul", {}, notes)),
    );
  }
  if (asked.pictures && hits.length && !gallery.read_only) {
    told.push(
      h(
        "p",
        { class: "hint" },
        "To confirm or reject matches, search from a stored crop: choose one below.",
      ),
    );
  }
  return told;
}

function nothing(asked) {
  const isFiltered =
    asked.cameras.length ||
    asked.since !== null ||
    asked.until !== null ||
    asked.accepted ||
    asked.others;
  const words = isFiltered
    ? "No crop passes these filters."
    : "There is nothing else in this gallery.";
  return h("p", { class: "empty" }, words);
}
