// Times are seconds: since 1970 where they are a clock's, since some beginning otherwise.

import { gallery } from "./session.js";

const EPOCH = 1e8; // 1973: the times of a video start far below, those of a clock lie above
const END = 8.64e12; // the last date that browsers know
const DAY = 86400;
const STEPS = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  10800,
  21600,
  43200,
  DAY,
];
const DAYS = [1, 2, 7, 14, 28, 91, 182, 365, 730, 1825, 3650];

const style = (options) => new Intl.DateTimeFormat("en-GB", options);
const date = { day: "numeric", month: "short" };
const FULL = style({
  ...date,
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const HOURS = style({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT = style({ ...date, hour: "2-digit", minute: "2-digit" });
const DATE = style({ ...date, year: "numeric" });
const TICKS = [
  [DAY, style(date)],
  [60, style({ hour: "2-digit", minute: "2-digit" })],
  [0, HOURS],
];
const UNITS = [
  [365 * DAY, "year"],
  [30 * DAY, "month"],
  [DAY, "day"],
  [3600, "hour"],
  [60, "minute"],
];
const CLOCK = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const SINCE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Whether this gallery's times are those of a clock. */
export const isClock = () =>
  Boolean(gallery.times) && gallery.times[0] >= EPOCH && gallery.times[1] <= END;

/** Whether a time is told as a date. */
const isDate = (seconds) => isClock() && Math.abs(seconds) <= END;

/** A time in full. */
export function moment(seconds) {
  if (seconds === null) return "time unknown";
  return isDate(seconds) ? FULL.format(1000 * seconds) : duration(seconds);
}

/** A time as short as the gallery allows: without the day where all crops are of one. */
export function brief(seconds) {
  if (seconds === null || !isDate(seconds)) return moment(seconds);
  return (day(gallery.times[0]) === day(gallery.times[1]) ? HOURS : SHORT).format(1000 * seconds);
}

/** From when to when, as short as it gets. */
export function span(first, last) {
  if (first === null) return "times unknown";
  if (first === last) return moment(first);
  const [from, to] = [moment(first), moment(last)];
  const isOneDay = isDate(first) && isDate(last) && day(first) === day(last);
  return `${from} – ${isOneDay ? to.slice(to.lastIndexOf(" ") + 1) : to}`;
}

/** How long ago. */
export function ago(seconds, now = Date.now() / 1000) {
  const [length, unit] = UNITS.find(([most]) => now - seconds >= most) ?? [1, "second"];
  return length === 1 ? "just now" : SINCE.format(-Math.floor((now - seconds) / length), unit);
}

/** A time in full and as machines read it, of which it is not known whether it is a date. */
export function stamp(seconds) {
  if (Math.abs(seconds) > END) return { title: `${seconds} seconds` };
  return { title: CLOCK.format(1000 * seconds), datetime: new Date(1000 * seconds).toISOString() };
}

/** Round times between two, and their labels, at most one for `gap` of the length. */
export function ticks(from, to, most) {
  const wanted = (to - from) / Math.max(1, most);
  const step =
    STEPS.find((one) => one >= wanted) ??
    DAY * (DAYS.find((one) => one * DAY >= wanted) ?? 10 ** Math.ceil(Math.log10(wanted / DAY)));
  const shift = isClock() ? -60 * new Date(1000 * from).getTimezoneOffset() : 0;
  const start = Math.ceil((from + shift) / step) * step - shift;
  const places = Array.from({ length: Math.ceil(most) + 1 }, (_, place) => start + place * step);
  return places.filter((at) => at <= to).map((at) => ({ at, label: tick(at, step, shift) }));
}

/** What a field for a time holds. */
export function toField(seconds) {
  if (seconds === null) return "";
  if (!isClock()) return duration(seconds);
  if (!isDate(seconds)) return "";
  const local = new Date(1000 * seconds - 60000 * new Date(1000 * seconds).getTimezoneOffset());
  return local.toISOString().slice(0, 16);
}

/** The time that a field holds: a date and time, seconds, or 1:02:03; null for none, NaN for others. */
export function fromField(text) {
  if (!text.trim()) return null;
  if (isClock()) return new Date(text).getTime() / 1000;
  return text
    .trim()
    .split(":")
    .reduce((sum, part) => 60 * sum + (part === "" ? NaN : Number(part)), 0);
}

function day(seconds) {
  return DATE.format(1000 * seconds);
}

function tick(at, step, shift) {
  if (!isDate(at)) return duration(at);
  const isMidnight = (at + shift) % DAY === 0;
  const [, format] = TICKS.find(([least]) => (isMidnight ? DAY : step) >= least);
  return format.format(1000 * at);
}

function duration(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const sign = seconds < 0 ? "−" : "";
  return `${sign}${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
