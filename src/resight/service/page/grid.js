// Cards under the keys: arrows go from one to the next, letters press its buttons.

import { isTyping } from "./dom.js";

const PARTS = "a, button, input";

/**
 * Make a list of `.card` elements navigable. One card at a time takes part in the order of Tab;
 * `data-key` on a part of a card is the key that presses it. Cards whose `refresh` is a function
 * have it called after decisions.
 */
export function navigable(list, signal) {
  let current = null;

  const activate = (card) => {
    if (card === current) return;
    if (current) reach(current, false);
    reach(card, true);
    current = card;
  };
  list.addEventListener("focusin", ({ target }) => {
    const card = target.closest(".card");
    if (card) activate(card);
  });
  new MutationObserver(() => {
    for (const card of list.querySelectorAll(".card")) if (card !== current) reach(card, false);
    const first = list.querySelector(".card");
    if ((!current || !list.contains(current)) && first) activate(first);
  }).observe(list, { childList: true });
  list.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card || isTyping(event)) return;
    const to = target(list, card, event.key);
    const part =
      /^[a-z]$|^Delete$/.test(event.key) && card.querySelector(`[data-key="${event.key}"]`);
    if (to) to.querySelector(PARTS).focus();
    else if (part) part.click();
    else return;
    event.preventDefault();
  });
  const refresh = () => {
    for (const card of list.querySelectorAll(".card")) card.refresh?.();
  };
  document.addEventListener("decided", refresh, { signal });
}

function reach(card, isCurrent) {
  for (const part of card.querySelectorAll(PARTS)) part.tabIndex = isCurrent ? 0 : -1;
}

/** The card to which a key leads from another one. */
function target(list, card, key) {
  const cards = [...list.querySelectorAll(".card")];
  const at = cards.indexOf(card);
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  if (key === "ArrowLeft") return cards[at - 1];
  if (key === "ArrowRight") return cards[at + 1];
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  return step ? nextRow(cards, at, step) : null;
}

/** The nearest card of the row above or below. */
function nextRow(cards, at, step) {
  const { offsetLeft, offsetTop } = cards[at];
  let best = null;
  for (let place = at + step; cards[place]; place += step) {
    const card = cards[place];
    if (card.offsetTop === offsetTop) continue;
    if (best && card.offsetTop !== best.offsetTop) break;
    if (!best || Math.abs(card.offsetLeft - offsetLeft) < Math.abs(best.offsetLeft - offsetLeft))
      best = card;
  }
  return best;
}
