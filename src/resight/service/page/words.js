// How numbers and crops are put into words.

import { moment, span } from "./times.js";

const WHOLE = new Intl.NumberFormat("en");

export const count = (number) => WHOLE.format(number);

/** "1 crop", "2,000 crops". */
export const many = (number, one, several = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : several}`;

/** A cosine; three places, so that one just below the threshold is not taken for it. */
export const cosine = (value) => value.toFixed(3).replace("-", "−");

/** The name of a camera. */
export const camera = (text) => text || "unknown camera";

/** A path without its folders. */
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** A rate of false accepts. */
export function rate(far) {
  return far > 0 ? `1 false accept in ${count(Math.round(1 / far))}` : "no false accept";
}

/** How many cameras saw some crops, and from when to when. */
export function extent(crops) {
  const cameras = many(new Set(crops.map((one) => one.camera)).size, "camera");
  const times = crops.map((one) => one.time).filter((time) => time !== null);
  if (!times.length) return cameras;
  times.sort((a, b) => a - b);
  return `${cameras} · ${span(times[0], times.at(-1))}`;
}

/** A crop for those who cannot see it. */
export function spoken(crop) {
  const told = [`crop ${crop.id}`, camera(crop.camera), moment(crop.time)];
  if (crop.similarity !== undefined) told.push(`similarity ${cosine(crop.similarity)}`);
  if (typeof crop.accepted === "boolean") told.push(crop.accepted ? "accepted" : "not accepted");
  return told.join(", ");
}
