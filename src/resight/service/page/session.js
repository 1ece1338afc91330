// What the page knows of the gallery while it is open.

import * as api from "./api.js";

/** The overview that the service gave; see GET /api/gallery. */
export const gallery = { rows: 0, cameras: [], times: null, threshold: null, read_only: true };

const seen = new Map();
const MOST_SEEN = 30;
const FRESH = 120_000; // milliseconds

/** Ask for the overview again. */
export async function refresh() {
  Object.assign(gallery, await api.overview());
}

/** What `make` gives, or gave at this address a short time ago, unless something was changed. */
export async function remembered(address, make) {
  const { answer, until } = seen.get(address) ?? { until: 0 };
  if (Date.now() < until) return answer;
  const made = await make();
  seen.set(address, { answer: made, until: Date.now() + FRESH });
  if (seen.size > MOST_SEEN) seen.delete(seen.keys().next().value);
  return made;
}

/** Something was decided or deleted: what was seen before is out of date. */
export function changed() {
  seen.clear();
}
