// The receipt: every token and every dollar of the session in exactly one line.

import { h, tip } from "./dom.js";
import { count, exactly, moment, percent, time, times } from "./format.js";

export function receipt(session, bill) {
  const heads = ["", "tokens", "cost", "time"].map((name, index) => h("th", { scope: "col", class: index ? "n" : null }, name));
  const tax = session.tax.tokens;
  return h(
    "aside", { class: "receipt", "aria-label": "Receipt" },
    h("h2", {}, "Receipt"),
    h("p", { class: "head" }, session.session_id),
    h("p", { class: "head" }, moment(session.started_ns)),
    h(
      "table", {}, h("thead", {}, h("tr", {}, heads)),
      h("tbody", {}, bill.lines.map((item) => line(item, item.tokens || item.latency_us ? "" : "zero"))),
      h("tbody", { class: "sum" }, line(bill.tax, "tax"), line(bill.total, "total")),
      h("tbody", { class: "beside" }, bill.beside.map((item) => line(item, "", true))),
    ),
    h("p", { class: "foot" }, tax.share === null ? tax.note || "nothing was spent" : `${percent(tax.share)} of tokens went into coordination${tax.multiple === null ? "" : `: ${times(tax.multiple)} the work`}`),
    h("p", { class: "foot" }, "The last two lines stand beside the tax, never in it."),
  );
}

function line(item, more, isBeside = false) {
  const isSum = more === "tax" || more === "total";
  const name = h("span", { class: "name", tabindex: 0, "data-key": `receipt-${item.line}` }, isSum ? null : h("span", { class: "swatch" }), item.line.replace("_", " "));
  tip(name, item.line.replace("_", " "), [["counts", item.formula], item.share === null ? null : ["of tokens", percent(item.share)]]);
  return h(
    "tr", { class: `line-${item.line} ${more}`, "data-line": item.line },
    h("td", {}, name),
    h("td", { class: "n", "data-figure": "tokens" }, count(item.tokens)),
    h("td", { class: "n", "data-figure": "cost" }, isBeside ? "" : exactly(item.cost_usd)),
    h("td", { class: "n", "data-figure": "time" }, isBeside ? "" : time(item.latency_us)),
  );
}
