// Long lists: a part of them at a time, the next one as the end comes into sight.

import { button, h } from "./dom.js";
import { complain } from "./notices.js";

const BATCH = 60;
const AHEAD = "800px";

/**
 * Fill a list. make: an item's nodes. more: gives the next items when these are shown, null at the
 * end. Returns what stands below the list.
 */
export function grow(list, items, make, { more = null, signal }) {
  let left = [...items];
  let next = more;
  const show = button(null, "Show more", { onclick: step });
  const foot = h("div", { class: "foot" }, show);
  const watch = new IntersectionObserver(
    (seen) => seen.some((one) => one.isIntersecting) && step(),
    {
      rootMargin: AHEAD,
    },
  );
  signal.addEventListener("abort", () => watch.disconnect());

  async function step() {
    if (show.disabled) return;
    show.disabled = true;
    try {
      if (!left.length && next) {
        const found = await next();
        if (found) left = [...found];
        else next = null;
      }
      list.append(...left.splice(0, BATCH).flatMap(make));
    } catch (error) {
      complain(error);
    } finally {
      show.disabled = false;
    }
    foot.hidden = !left.length && !next;
    watch.unobserve(foot); // so that a foot that stays in sight is seen again
    if (!foot.hidden && !signal.aborted) watch.observe(foot);
  }

  step();
  return foot;
}

/** What gives page after page of the service's answers. ask: (after) to an answer; field: its list. */
export function pages(ask, field) {
  let after = null;
  let isOver = false;
  return async () => {
    if (isOver) return null;
    const answer = await ask(after);
    after = answer.next;
    isOver = after === null;
    return answer[field];
  };
}
