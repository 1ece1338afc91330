// The clusters of a run, as decisions changed them: browse, open, merge.

import { go, toCluster } from "./address.js";
import * as api from "./api.js";
import { picture, pictureOf } from "./cards.js";
import { button, h, iconButton } from "./dom.js";
import { navigable } from "./grid.js";
import { grow, pages } from "./grow.js";
import { announce, tell } from "./notices.js";
import { gallery, refresh } from "./session.js";
import { span } from "./times.js";
import { change } from "./verdicts.js";
import { camera, count, many } from "./words.js";

const LISTED = 48;
const MOST_MERGED = 16;
const ORDERS = [
  ["size", "largest first"],
  ["cameras", "most cameras first"],
];

/** Clusters that are to be merged, by label; they stay chosen from one view to another. */
const chosen = new Map();

/** The view of all clusters. */
export async function showClusters(place, { fields }, signal) {
  await refresh();
  const order = fields.get("order") === "cameras" ? "cameras" : "size";
  const list = h("ol", { class: "clusters", "aria-label": "Clusters" });
  const next = pages(
    (after) => api.clusters({ after: after ?? "", limit: LISTED, order }, signal),
    "clusters",
  );
  const first = await next();
  const bar = mergeBar(list);
  const known = new Map();
  for (const one of first) known.set(one.label, one);
  for (const [label] of chosen) if (known.has(label)) chosen.set(label, known.get(label));
  navigable(list, signal);
  const foot = grow(list, first, (one) => [tile(one, bar.show)], { more: next, signal });
  place.replaceChildren(
    h(
      "header",
      { class: "view-head" },
      h("h1", { tabindex: -1 }, many(gallery.clusters, "cluster")),
      h(
        "p",
        { class: "hint" },
        "What the run took for one individual each, as decisions changed it.",
      ),
      orders(order),
    ),
    list,
    foot,
    bar.element,
  );
  if (!first.length) place.append(nothing());
  bar.show();
  announce(many(gallery.clusters, "cluster"));
  return "Clusters";
}

/** A button that puts a cluster among those to be merged, or out of them again. */
export function choice(cluster) {
  const words = () => (chosen.has(cluster.label) ? "Chosen for merging" : "Choose for merging");
  const element = button("merge", words(), {
    "aria-pressed": chosen.has(cluster.label),
    onclick: () => {
      toggle(cluster);
      element.setAttribute("aria-pressed", chosen.has(cluster.label));
      element.lastChild.textContent = words();
    },
  });
  return element;
}

function toggle(cluster) {
  if (!chosen.delete(cluster.label)) chosen.set(cluster.label, cluster);
}

function tile(cluster, chose) {
  const { label, size, cameras, cover, first, last } = cluster;
  const names = Object.entries(cameras).map(
    ([text, number]) => `${camera(text)}: ${count(number)}`,
  );
  const words = `Cluster ${label}: ${many(size, "crop")}, ${many(names.length, "camera")}, ${span(first, last)}`;
  const element = h(
    "li",
    { class: "card cluster", "data-label": label },
    h(
      "a",
      { class: "cover", href: toCluster(label), "aria-label": words },
      cover.map((id) => picture(id, pictureOf(id))),
    ),
    h(
      "div",
      { class: "facts" },
      h("b", {}, `Cluster ${label}`),
      h("span", {}, many(size, "crop")),
      h("span", { class: "soft", title: names.join("\n") }, many(names.length, "camera")),
      h("span", { class: "soft when" }, span(first, last)),
    ),
  );
  if (!gallery.read_only) {
    const flip = () => {
      toggle(cluster);
      element.refresh();
      chose();
    };
    const box = h("input", {
      type: "checkbox",
      class: "selector",
      "data-key": "x",
      "aria-label": `Choose cluster ${label}`,
      onclick: flip,
    });
    element.refresh = () => {
      box.checked = chosen.has(label);
      element.classList.toggle("is-chosen", box.checked);
    };
    element.refresh();
    element.append(box);
  }
  return element;
}

function orders(order) {
  const select = h(
    "select",
    { id: "order", onchange: () => go(`#/clusters?order=${select.value}`) },
    ORDERS.map(([value, words]) => h("option", { value, selected: value === order }, words)),
  );
  return h("p", { class: "line" }, h("label", { for: "order" }, "Order"), select);
}

/** What stands at the bottom while clusters are chosen. */
function mergeBar(list) {
  const covers = h("ul", { class: "chosen" });
  const words = h("span", {});
  const run = button("merge", "Merge", { class: "primary", onclick: merge });
  const clear = button(null, "Clear", { class: "quiet", onclick: () => leave(...chosen.keys()) });
  const parts = [covers, words, clear, run];
  const element = h("section", { class: "bar", "aria-label": "Chosen clusters" }, parts);
  function show() {
    element.hidden = !chosen.size;
    run.disabled = chosen.size < 2 || chosen.size > MOST_MERGED;
    words.textContent = chosenWords();
    covers.replaceChildren(...[...chosen.values()].map((one) => chosenOne(one, leave)));
  }
  function leave(...labels) {
    for (const label of labels) chosen.delete(label);
    for (const card of list.children) card.refresh?.();
    show();
  }
  return { element, show };
}

function chosenWords() {
  if (chosen.size < 2) return "1 chosen: choose another one to merge it with";
  const most = chosen.size > MOST_MERGED ? `, at most ${MOST_MERGED} can be merged at once` : "";
  return `${chosen.size} chosen${most}`;
}

function chosenOne({ label, cover: [id] }, leave) {
  const drop = { onclick: () => leave(label) };
  return h(
    "li",
    { title: `Cluster ${label}` },
    picture(id, pictureOf(id), { loading: "eager" }),
    iconButton("close", `Leave cluster ${label} out`, drop),
  );
}

async function merge() {
  const labels = [...chosen.keys()];
  if ((await change(() => api.merge(labels))) === null) return;
  chosen.clear();
  const look = { words: "Look at the decision", run: () => go("#/decisions") };
  tell(`Clusters ${labels.join(", ")} are one individual now.`, look);
  window.dispatchEvent(new Event("stale"));
}

function nothing() {
  return h(
    "p",
    { class: "empty" },
    "This gallery has no clusters: they come with crops that the run was trained on. " +
      "Where you say that crops are the same individual, clusters begin as well.",
  );
}
