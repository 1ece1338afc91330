// Deleting: people are told what goes before it does.

import * as api from "./api.js";
import { confirm } from "./dialogs.js";
import { h } from "./dom.js";
import { tell } from "./notices.js";
import { refresh } from "./session.js";
import { dropped } from "./verdicts.js";
import { camera, many } from "./words.js";

const REASONS = {
  query: "this crop",
  confirmed: "confirmed to be the same individual",
  cluster: "in the same cluster",
  found: "only found by similarity: look at them first, they may show somebody else",
};
const GOES =
  "Rows, embeddings, thumbnails, decisions and places in clusters go for good. " +
  "The files that were indexed stay where they are, and are not indexed again.";

/** Delete a crop, if people want that; whether it was deleted. */
export async function askToDeleteCrop(crop) {
  const sure = await confirm({
    title: `Delete crop ${crop.id}?`,
    lines: [
      h("p", { class: "named" }, h("bdi", { dir: "auto" }, crop.path)),
      `Seen by ${camera(crop.camera)}.`,
      GOES,
    ],
    action: "Delete the crop",
  });
  if (!sure) return false;
  await api.deleteCrop(crop.id);
  await afterwards(1);
  return true;
}

/** Delete all sightings of an individual, if people want that; whether they were deleted. */
export async function askToDeleteIndividual(crop) {
  const { crops } = await api.sightings(crop.id);
  const counts = Object.entries(REASONS).map(([why, words]) => [
    crops.filter((one) => one.why === why).length,
    words,
  ]);
  const sure = await confirm({
    title: `Delete ${many(crops.length, "sighting")} of this individual?`,
    lines: [
      h(
        "ul",
        {},
        counts
          .filter(([number]) => number)
          .map(([number, words]) => h("li", {}, h("b", {}, number), ` ${words}`)),
      ),
      GOES,
    ],
    action: crops.length === 1 ? "Delete the sighting" : `Delete all ${crops.length}`,
  });
  if (!sure) return false;
  const { deleted } = await api.deleteIndividual(crop.id);
  await afterwards(deleted);
  return true;
}

async function afterwards(deleted) {
  dropped();
  await refresh();
  tell(`${many(deleted, "crop")} deleted.`);
}
