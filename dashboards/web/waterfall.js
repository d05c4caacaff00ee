// When each call ran: a lane a stage, a bar a call, the critical path through them. Drawn anew when the width changes.

import { h, s, tip } from "./dom.js";
import { count, money, percent, time } from "./format.js";
import { LINES } from "./tax.js";

const ROW = 26, BAR = 18, TOOL = 9, LANE_PAD = 9, HEAD = 30, LEFT = 128, RIGHT = 14;

export function waterfall(detail) {
  const box = h("div", { class: "waterfall" });
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.max(Math.floor(box.clientWidth - 44), 520);
    if (width === drawn) return;
    drawn = width;
    box.replaceChildren(svg(detail, width));
  }).observe(box);
  return box;
}

function svg(detail, width) {
  const end = Math.max(...detail.calls.map((call) => call.start_us + call.duration_us), 1);
  const x = (us) => LEFT + (us / end) * (width - LEFT - RIGHT);
  const lanes = arrange(detail.calls);
  const height = lanes.at(-1) ? lanes.at(-1).bottom + 6 : HEAD;
  const at = new Map(lanes.flatMap((lane) => lane.placed.map((place) => [place.call.call_id, { ...place, y: lane.top + LANE_PAD + place.row * ROW }])));
  const root = s("svg", { width, height, role: "group", "aria-label": `Waterfall of ${detail.calls.length} calls over ${time(end)}; arrow keys go from call to call` });
  root.append(hatch(), ...ticks(end, x, height), ...lanes.map((lane) => frame(lane, width)));
  root.append(...detail.handoffs.map((handoff) => gap(handoff, at, x)).filter(Boolean));
  const bars = detail.calls.map((call, index) => bar(call, at.get(call.call_id), x, index));
  root.append(path(detail.calls, at, x), ...bars);
  root.addEventListener("keydown", (event) => walk(event, bars));
  return root;
}

/** Calls of a stage in one lane; those that overlap in rows of it. Lanes in order of first call. */
function arrange(calls) {
  const lanes = new Map();
  for (const call of [...calls].sort((a, b) => a.start_us - b.start_us)) {
    if (!lanes.has(call.stage)) lanes.set(call.stage, { stage: call.stage, ends: [], placed: [] });
    const lane = lanes.get(call.stage);
    let row = lane.ends.findIndex((end) => end <= call.start_us);
    if (row < 0) row = lane.ends.length;
    lane.ends[row] = call.start_us + call.duration_us;
    lane.placed.push({ call, row });
  }
  let top = HEAD;
  for (const lane of lanes.values()) {
    lane.top = top;
    lane.bottom = top = top + lane.ends.length * ROW + 2 * LANE_PAD - (ROW - BAR);
  }
  return [...lanes.values()];
}

function ticks(end, x, height) {
  const rough = end / 6;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * scale).find((size) => size >= rough);
  const found = [];
  for (let us = 0; us <= end; us += step) {
    found.push(s("line", { class: "tick", x1: x(us), x2: x(us), y1: HEAD - 8, y2: height }));
    if (x(us) < x(end) - 18) found.push(s("text", { x: x(us), y: 14, "text-anchor": us ? "middle" : "start" }, us ? short(us) : "0"));
  }
  return found;
}

const short = (us) => (us < 1e6 ? `${+(us / 1e3).toFixed(1)} ms` : us < 6e7 ? `${+(us / 1e6).toFixed(2)} s` : `${+(us / 6e7).toFixed(1)} min`);

function frame(lane, width) {
  const name = lane.stage.length > 16 ? `${lane.stage.slice(0, 15)}\u2026` : lane.stage || "(unnamed)";
  return s("g", {}, s("line", { class: "lane", x1: 0, x2: width, y1: lane.top, y2: lane.top }), s("text", { class: "stage-name", x: 0, y: lane.top + LANE_PAD + 13 }, name, s("title", {}, lane.stage)));
}

function bar(call, place, x, index) {
  const isTool = call.kind === "tool";
  const left = x(call.start_us), width = Math.max(x(call.start_us + call.duration_us) - left, 2.5);
  const height = isTool ? TOOL : BAR, y = place.y + (BAR - height) / 2;
  const line = LINES.reduce((most, name) => (call.lines[name] > call.lines[most] ? name : most), "work");
  const failed = call.outcome !== "ok";
  const group = s("g", { class: `call line-${line} ${isTool ? "tool" : ""} ${call.on_critical_path ? "" : "off"}`, tabindex: index ? -1 : 0, role: "img", "aria-label": `${call.stage}, ${named(call)}, ${time(call.duration_us)}, ${call.outcome}`, "data-call": call.call_id, "data-key": `call-${call.call_id}` });
  group.append(s("rect", { class: "body", x: left, y, width, height, rx: Math.min(4, width / 2) }));
  if (call.on_critical_path) group.append(s("line", { class: "on", x1: left + 1, x2: left + width - 1, y1: y + height + 2.5, y2: y + height + 2.5 }));
  if (failed) group.append(s("line", { class: "strike", x1: left - 3, x2: left + width + 3, y1: y + height / 2, y2: y + height / 2 }));
  const label = call.input_tokens === null ? "" : count(call.input_tokens + call.output_tokens);
  if (!isTool && !failed && width > label.length * 6.2 + 10) group.append(s("text", { class: "inside", x: left + 7, y: y + 13 }, label));
  return tip(group, named(call), facts(call));
}

const named = (call) => call.tool || call.model || call.operation || call.upstream;

function facts(call) {
  const lines = LINES.filter((line) => call.lines[line]).map((line) => [line, `${count(call.lines[line])} tokens`]);
  const input = call.input_tokens === null ? null : ["input, output", `${count(call.input_tokens)}, ${count(call.output_tokens)}`];
  return [
    ["stage", `${call.stage} (${call.role})`], ["start", `+${time(call.start_us)}`], ["took", time(call.duration_us)], call.ttfb_us === null ? null : ["first byte", time(call.ttfb_us)],
    ["outcome", call.status ? `${call.outcome}, ${call.status}` : call.outcome], call.error ? ["error", call.error] : null, call.attempts > 1 ? ["attempts", count(call.attempts)] : null,
    call.is_retry ? ["retry of", call.retry_of || "unknown"] : null, call.is_rework ? ["rework", "yes"] : null, input, call.cache_read_tokens ? ["from cache", count(call.cache_read_tokens)] : null,
    ["cost", money(call.cost_usd)], ["usage", call.usage_source], ...lines, call.own_reread ? ["own reread, beside", count(call.own_reread)] : null, call.scaffold ? ["scaffold, beside", count(call.scaffold)] : null,
  ];
}

/** The time between a giver's end and the receiver's start, in the receiver's row. */
function gap(handoff, at, x) {
  const from = at.get(handoff.from_call), to = at.get(handoff.to_call);
  if (!from || !to || handoff.is_idle || handoff.gap_us <= 0) return null;
  const right = x(to.call.start_us), left = x(to.call.start_us - handoff.gap_us);
  const shape = s("rect", { class: "gap", x: left, y: to.y, width: Math.max(right - left, 1.5), height: BAR, rx: 2 });
  return tip(shape, `${handoff.from_stage} \u2192 ${handoff.to_stage}`, [["handoff", handoff.kind.replace("_", " ")], ["gap", time(handoff.gap_us)], ["net of tools", time(handoff.net_gap_us)], ["sent again", `${count(handoff.cross_request_tokens + handoff.cross_output_tokens)} tokens`], ["known by", `${handoff.method}, ${percent(handoff.confidence)}`]]);
}

/** From the end of each call on the critical path down or up to the start of the next. */
function path(calls, at, x) {
  const steps = calls.filter((call) => call.on_critical_path).sort((a, b) => a.start_us - b.start_us);
  const parts = steps.slice(1).map((call, index) => {
    const before = steps[index], y1 = at.get(before.call_id).y + BAR / 2, y2 = at.get(call.call_id).y + BAR / 2;
    const x1 = x(before.start_us + before.duration_us), x2 = x(call.start_us);
    return y1 === y2 ? "" : `M${x1} ${y1}H${Math.max(x2 - 4, x1)}V${y2}H${x2}`;
  });
  return s("path", { class: "path", d: parts.join("") });
}

function walk(event, bars) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const index = bars.indexOf(document.activeElement);
  if (!step || index < 0) return;
  event.preventDefault();
  const next = bars[Math.min(Math.max(index + step, 0), bars.length - 1)];
  bars[index].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function hatch() {
  return s("defs", {}, s("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 5 })));
}
