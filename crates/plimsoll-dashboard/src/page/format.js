// Numbers and times as text. An unknown value is a dash.

const NONE = "–";

/** A rate or a gauge: three digits, thousands as k. */
export function number(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  if (size >= 999500) return `${short(value / 1e6)} M`;
  if (size >= 9995) return `${short(value / 1e3)} k`;
  if (size >= 99.5) return Math.round(value).toLocaleString("en");
  return short(value);
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 99.5 || Number.isInteger(value)) return String(Math.round(value));
  if (size >= 9.95) return String(Math.round(value * 10) / 10);
  return String(Math.round(value * 100) / 100);
}

/** A count, exact. */
export function count(value) {
  return value === null || value === undefined ? NONE : value.toLocaleString("en");
}

/** A duration in seconds. */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995e-3) return `${three(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${three(seconds * 1e3)} ms`;
  if (seconds < 120) return `${three(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function three(value) {
  return value >= 99.95 ? String(Math.round(value)) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** A span of the time axis, in whole units. */
export function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** A share of 0 to 1. */
export function share(part, whole) {
  if (!(whole > 0)) return "0 %";
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent < 9.95 ? Math.round(percent * 10) / 10 : Math.round(percent)} %`;
}

/** Wall time, with the day when it is another one. */
export function clock(millis) {
  const at = new Date(millis);
  const two = part => String(part).padStart(2, "0");
  const day = at.toDateString() === new Date().toDateString() ? "" : `${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return day + [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}

/** Words of a figure's name. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** A figure with its unit or state. */
export function figure({ value, unit, state }) {
  if (state) return state;
  if (unit === "seconds") return time(value);
  return unit ? `${number(value)} ${unit}` : number(value);
}
