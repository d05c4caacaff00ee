// Elements from values. Text only ever becomes text nodes, so nothing an agent named can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** `h("td", {class: "n"}, "1")` → an element; `on…` are listeners, null children are left out. */
export const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

/** The same for SVG. */
export const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Shows `rows` ([name, value] pairs) beside `target` while it is hovered or focused. */
export function tip(target, title, rows) {
  const box = document.getElementById("tip");
  const show = (event) => {
    box.replaceChildren(h("b", {}, title), h("dl", {}, rows.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
    box.hidden = false;
    const at = target.getBoundingClientRect();
    const x = event.type === "focus" ? at.left : event.clientX + 14;
    const y = event.type === "focus" ? at.bottom + 8 : event.clientY + 14;
    box.style.left = `${Math.max(8, Math.min(x, innerWidth - box.offsetWidth - 12))}px`;
    box.style.top = `${y + box.offsetHeight > innerHeight - 8 ? Math.max(8, Math.min(y, at.top) - box.offsetHeight - 20) : y}px`;
  };
  const hide = () => { box.hidden = true; };
  for (const [event, act] of [["mousemove", show], ["focus", show], ["mouseleave", hide], ["blur", hide]]) target.addEventListener(event, act);
  return target;
}
