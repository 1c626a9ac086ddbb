// Pinned nodes and the supernodes made of them: state, list, and the subgraph they form with the links among them.

class Pins {
  constructor(view) {
    this.view = view;
    const q = view.graph.qParams ?? {};
    const known = (ids) => ids.map(String).filter((id) => view.by_id.has(id));
    const listed = Array.isArray(q.pinnedIds) ? q.pinnedIds : String(q.pinnedIds ?? "").split(",");
    this.groups = (Array.isArray(q.supernodes) ? q.supernodes : []).filter(Array.isArray)
      .map(([name, ...ids]) => ({ name: String(name), ids: known(ids) })).filter((g) => g.ids.length);
    this.ids = [...new Set([...known(listed), ...this.groups.flatMap((g) => g.ids)])];
    this.ticked = new Set();
  }
  has(id) { return this.ids.includes(id); }
  toggle(id) {
    if (!this.has(id)) return this.ids.push(id);
    this.ids = this.ids.filter((other) => other !== id);
    this.ticked.delete(id);
    this.leave(id);
  }
  leave(id) {
    for (const g of this.groups) g.ids = g.ids.filter((other) => other !== id);
    this.groups = this.groups.filter((g) => g.ids.length);
  }
  group(name) {
    const ids = this.ids.filter((id) => this.ticked.has(id));
    for (const id of ids) this.leave(id);
    if (ids.length) this.groups.push({ name, ids });
    this.ticked.clear();
    return ids.length;
  }
  dissolve(group) { this.groups = this.groups.filter((g) => g !== group); }
  clear() { this.ids = []; this.groups = []; this.ticked.clear(); }
  /// Groups, then single nodes, as boxes.
  boxes() {
    const grouped = new Set(this.groups.flatMap((g) => g.ids));
    const node = (id) => this.view.by_id.get(id);
    return [...this.groups.map((g) => ({ name: visible(g.name), group: true, nodes: g.ids.map(node) })),
      ...this.ids.filter((id) => !grouped.has(id)).map((id) => ({ name: node(id).name, group: false, nodes: [node(id)] }))];
  }
  saved() {
    return { ...(this.view.graph.qParams ?? {}), pinnedIds: this.ids, supernodes: this.groups.map((g) => [g.name, ...g.ids]) };
  }
}

function pin_item(view, pins, node, act) {
  const tick = element("input", { type: "checkbox" });
  tick.checked = pins.ticked.has(node.id);
  tick.addEventListener("change", () => (tick.checked ? pins.ticked.add(node.id) : pins.ticked.delete(node.id)));
  return element("li", {}, element("label", {}, tick, element("span", { class: "name", text: `${node.name} · ${place_of(node, view.word)}` })),
    element("button", { type: "button", text: "Unpin", "aria-label": `Unpin ${node.name}`, onclick: () => act.pin(node) }));
}

function show_pins(view, pins, act) {
  const list = document.getElementById("pins");
  const items = [];
  for (const g of pins.groups) {
    items.push(element("li", {}, element("strong", { text: `${visible(g.name)} (${g.ids.length})` }),
      element("button", { type: "button", text: "Ungroup", "aria-label": `Ungroup ${visible(g.name)}`, onclick: () => act.ungroup(g) })));
  }
  for (const id of pins.ids) items.push(pin_item(view, pins, view.by_id.get(id), act));
  list.replaceChildren(...items);
  document.getElementById("sub").replaceChildren(...(pins.ids.length ? [subgraph(pins.boxes())] : []));
}

// Boxes in rows by the layer in which they stand on average, from left to right by position.
function place_boxes(boxes, u) {
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  for (const b of boxes) {
    b.level = Math.round(mean(b.nodes.map((n) => Math.min(n.row, 999))));
    b.at = mean(b.nodes.map((n) => n.at));
    b.text = b.name.length > 26 ? b.name.slice(0, 25) + "…" : b.name;
    b.w = (18 + 7.3 * Math.max(b.text.length, 0.85 * box_value(b).length, 7)) * u;
  }
  const levels = [...new Set(boxes.map((b) => b.level))].sort((a, b) => b - a);
  const widths = levels.map((l) => {
    const row = boxes.filter((b) => b.level === l).sort((a, b) => a.at - b.at);
    let x = 6 * u;
    for (const b of row) {
      b.x = x;
      b.y = (10 + 82 * levels.indexOf(l)) * u;
      x += b.w + 26 * u;
    }
    return x;
  });
  const width = Math.max(...widths);
  boxes.forEach((b) => (b.x += (width - widths[levels.indexOf(b.level)]) / 2));
  return { width, height: (levels.length * 82 - 20) * u };
}

function subgraph(boxes) {
  const u = scale(), size = place_boxes(boxes, u), h = 40 * u;
  const svg = drawn("svg", { width: size.width, height: size.height, role: "img", "aria-label": described(boxes) });
  const sums = sums_between(boxes), heaviest = Math.max(1e-300, ...sums.map((s) => Math.abs(s.weight)));
  for (const s of sums) {
    const x1 = s.from.x + s.from.w / 2, x2 = s.to.x + s.to.w / 2, y1 = s.from.y, y2 = s.to.y + h;
    const path = drawn("path", { class: `link ${s.weight < 0 ? "minus" : ""}`, d: `M${x1} ${y1}C${x1} ${y1 - 22 * u} ${x2} ${y2 + 22 * u} ${x2} ${y2}`, "stroke-width": (1 + 4 * Math.sqrt(Math.abs(s.weight) / heaviest)) * u });
    path.style.strokeOpacity = "0.7";
    path.append(drawn("title", {}, `${s.from.name} to ${s.to.name}: ${signed(s.weight)}`));
    svg.append(path, drawn("text", { class: "quiet", x: (x1 + x2) / 2 + 5 * u, y: (y1 + y2) / 2 + 4 * u, "font-size": 11 * u }, signed(s.weight)));
  }
  for (const b of boxes) {
    const g = drawn("g", { class: b.group ? "box group" : "box" });
    g.append(drawn("rect", { x: b.x, y: b.y, width: b.w, height: h, rx: 6 * u }));
    g.append(drawn("text", { x: b.x + b.w / 2, y: b.y + 17 * u, "text-anchor": "middle", "font-size": 13 * u }, b.text));
    g.append(drawn("text", { class: "quiet", x: b.x + b.w / 2, y: b.y + 33 * u, "text-anchor": "middle", "font-size": 11 * u }, box_value(b)));
    svg.append(g);
  }
  return svg;
}

function box_value(b) {
  const values = b.nodes.map((n) => n.contribution).filter((c) => c !== null);
  const count = b.nodes.length > 1 ? `${b.nodes.length} nodes` : "";
  if (!values.length) return count || "target";
  return (count ? `${count}, ` : "") + signed(values.reduce((x, y) => x + y, 0));
}

// Links from a node of one box to a node of another, added up.
function sums_between(boxes) {
  const box_of = new Map(boxes.flatMap((b) => b.nodes.map((n) => [n, b])));
  const sums = new Map();
  for (const b of boxes) {
    for (const l of b.nodes.flatMap((n) => n.goes)) {
      const to = box_of.get(l.target);
      if (!to || to === b) continue;
      const key = `${boxes.indexOf(b)}:${boxes.indexOf(to)}`;
      if (!sums.has(key)) sums.set(key, { from: b, to, weight: 0 });
      sums.get(key).weight += l.weight;
    }
  }
  return [...sums.values()];
}

function described(boxes) {
  return "Pinned nodes: " + boxes.map((b) => `${b.name} ${box_value(b)}`).join("; ");
}
