// The tax as shapes: bars, tiles, legend. The order of lines and their colours are the same wherever they appear.

import { h, tip } from "./dom.js";
import { amount, count, percent, times, UNKNOWN } from "./format.js";

export const TAX_LINES = ["retry", "route", "coordinate", "validate", "aggregate", "handoff"];
export const LINES = [...TAX_LINES, "work"];
export const UNITS = { tokens: "tokens", cost: "cost", latency: "latency" };
const OF = { tokens: (t) => `${count(t.total)} tokens`, cost: (t) => amount("usd", t.total), latency: (t) => `${amount("us", t.total)} on the critical path` };

/** One amount's partition, in proportion. */
export function bar(tax, label) {
  if (!tax.total || tax.share === null) return h("div", { class: "bar unknown", role: "img", "aria-label": `${label}: ${tax.note || "nothing to show"}` });
  const parts = LINES.filter((line) => tax[line] > 0).map((line) => {
    const part = h("i", { class: `line-${line}` });
    part.style.flex = `${tax[line] / tax.total} 1 0`;
    return part;
  });
  const rows = LINES.filter((line) => tax[line] > 0).map((line) => [line, `${amount(tax.unit, tax[line])} · ${percent(tax[line] / tax.total)}`]);
  return tip(h("div", { class: "bar", role: "img", "aria-label": `${label}: tax ${percent(tax.share)}` }, parts), label, rows);
}

/** A share with its bar, for a table cell. */
export const share = (tax, unit) =>
  h("div", { class: "share", title: tax.note || null }, h("b", { class: tax.share === null ? "unknown" : "", "data-figure": `share-${unit}` }, percent(tax.share)), bar(tax, `tax in ${unit}`));

/** The three taxes side by side, each with its unit; none is the tax. */
export const tiles = (taxes) => h("div", { class: "tiles" }, Object.keys(UNITS).map((unit) => tile(unit, taxes[unit])));

function tile(unit, tax) {
  const known = tax.share !== null;
  const figure = known ? [(tax.share * 100).toFixed(1), h("small", {}, "%")] : [UNKNOWN];
  const of = !known ? tax.note || "nothing to divide yet" : `of ${OF[unit](tax)}${tax.multiple === null ? "" : `, ${times(tax.multiple)} the work alone`}`;
  return h(
    "section", { class: "card tile" },
    h("h2", { class: "heading" }, `Tax in ${unit}`),
    h("p", { class: known ? "big" : "big unknown", "data-figure": `tile-${unit}` }, figure),
    h("p", { class: tax.note && !known ? "of note" : "of" }, of),
    bar(tax, `tax in ${unit}`),
    known && tax.note ? h("p", { class: "note" }, tax.note) : null,
  );
}

export const legend = () => h("ul", { class: "legend", "aria-label": "Lines of the tax, and work" }, LINES.map((line) => h("li", { class: `line-${line}` }, h("span", { class: "swatch" }), line)));
