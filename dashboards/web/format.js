// How figures read. Unknown is a dash, never a zero.

export const UNKNOWN = "\u2013";
const whole = new Intl.NumberFormat("en-US");

export const count = (value) => (value === null ? UNKNOWN : whole.format(value));
export const percent = (share) => (share === null ? UNKNOWN : `${(share * 100).toFixed(1)}%`);
export const times = (multiple) => (multiple === null ? UNKNOWN : `${multiple.toFixed(2)}\u00d7`);

/** Dollars at a glance: four places; three digits that count where that would show less. */
export function money(usd) {
  if (usd === null) return UNKNOWN;
  if (usd === 0) return "$0";
  if (Math.abs(usd) >= 100) return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  if (usd >= 0.01) return `$${usd.toFixed(4)}`;
  return `$${usd.toFixed(Math.min(9, 2 - Math.floor(Math.log10(usd))))}`;
}

/** Dollars to the nano-dollar: on a receipt the lines must add up before the reader's eyes. */
export function exactly(usd) {
  if (usd === null) return UNKNOWN;
  return usd === 0 ? "$0" : `$${usd.toFixed(9).replace(/0{1,5}$/, "")}`;
}

export function time(us) {
  if (us === null) return UNKNOWN;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  return us < 1e8 ? `${(us / 1e6).toFixed(2)} s` : `${(us / 6e7).toFixed(1)} min`;
}

export const amount = (unit, value) => ({ tokens: count, usd: money, us: time })[unit](value);
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** "12 min ago" from Unix nanoseconds. */
export function ago(ns, now = Date.now()) {
  const seconds = Math.max(0, now / 1e3 - ns / 1e9);
  for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name} ago`;
  }
  return "just now";
}

export const moment = (ns) => new Date(ns / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";
