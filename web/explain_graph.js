// The graph: layers from below to above, positions from left to right; shapes say what a node is, size and colour what
// it contributes. One node is in the order of Tab; the arrows move within.

const SLOT = 19, GAP = 12, NAMES = 108;

function scale() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
}

function row_name(row, unit) {
  if (row === Number.MAX_SAFE_INTEGER) return "output";
  if (row === 0) return "embedding";
  return `layer ${Math.floor((row - 1) / 2)} ${(row - 1) % 2 === 0 ? "heads" : unit + "s"}`;
}

// How many nodes of a cell stand side by side: cells grow in both directions.
function cell_columns(most) {
  return Math.max(1, Math.min(8, Math.ceil(Math.sqrt(1.6 * most))));
}

// Places of all shown nodes, columns and rows, in pixels.
function lay_out(view, shown, width) {
  const u = scale(), slot = SLOT * u, gap = GAP * u;
  const cells = new Map();
  for (const n of shown) {
    const key = `${n.row}:${n.at}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(n);
  }
  const size = (n) => Math.abs(n.contribution ?? 0);
  for (const list of cells.values()) list.sort((a, b) => size(b) - size(a));
  const used = new Set(shown.map((n) => n.at));
  const columns = [...new Set([...used, ...view.tokens.keys()])].sort((a, b) => a - b);
  const rows = [...new Set(shown.map((n) => n.row))].sort((a, b) => b - a);
  const most = new Map(columns.map((c) => [c, Math.max(0, ...rows.map((r) => cells.get(`${r}:${c}`)?.length ?? 0))]));
  const label = (c) => (c < 0 ? "constants" : token_text(view.tokens[c] ?? ""));
  const want = (c) => Math.max(cell_columns(most.get(c)) * slot, Math.min(11, label(c).length) * 7.4 * u) + gap;
  const level = columns.reduce((sum, c) => sum + want(c), 0) <= width - NAMES * u;
  const x = new Map();
  let right = (NAMES + 6) * u;
  for (const c of columns) {
    const w = level ? want(c) : Math.max(cell_columns(most.get(c)) * slot, 17 * u) + (most.get(c) > 1 ? gap : 2 * u);
    x.set(c, { left: right, width: w });
    right += w;
  }
  const y = new Map();
  let bottom = 6 * u;
  for (const r of rows) {
    const lines = Math.max(...columns.map((c) => Math.ceil((cells.get(`${r}:${c}`)?.length ?? 0) / cell_columns(most.get(c)))));
    const h = (r === Number.MAX_SAFE_INTEGER ? 30 * u * lines : lines * slot) + gap;
    y.set(r, { top: bottom, height: h });
    bottom += h;
  }
  place_nodes(cells, x, y, most, slot, u);
  return { columns, rows, x, y, level, label, u, width: Math.max(right + 8 * u, width), bottom, height: bottom + (level ? 30 : 92) * u };
}

function place_nodes(cells, x, y, most, slot, u) {
  for (const [key, list] of cells) {
    const [row, at] = key.split(":").map(Number);
    const column = x.get(at), line = y.get(row), per = cell_columns(most.get(at));
    list.forEach((n, i) => {
      const here = Math.min(per, list.length - Math.floor(i / per) * per);
      n.x = column.left + column.width / 2 + ((i % per) - (here - 1) / 2) * slot;
      n.y = line.top + line.height / 2 + (Math.floor(i / per) - (Math.ceil(list.length / per) - 1) / 2) *
        (n.kind === KINDS.target ? 30 * u : slot);
    });
  }
}

function shape_of(n, r) {
  switch (n.kind) {
    case KINDS.token: return drawn("rect", { class: "shape", x: n.x - r, y: n.y - r, width: 2 * r, height: 2 * r, rx: 1 });
    case KINDS.head: return drawn("path", { class: "shape", d: `M${n.x} ${n.y - 1.3 * r}L${n.x + 1.3 * r} ${n.y}L${n.x} ${n.y + 1.3 * r}L${n.x - 1.3 * r} ${n.y}Z` });
    case KINDS.constant: return drawn("path", { class: "shape", d: `M${n.x} ${n.y - 1.2 * r}L${n.x + 1.2 * r} ${n.y + r}L${n.x - 1.2 * r} ${n.y + r}Z` });
    case KINDS.error: return drawn("path", { class: "shape", d: `M${n.x - r} ${n.y - r}L${n.x + r} ${n.y + r}M${n.x + r} ${n.y - r}L${n.x - r} ${n.y + r}` });
    default: return drawn("circle", { class: "shape", cx: n.x, cy: n.y, r });
  }
}

function target_shape(n, u, plan) {
  const group = drawn("g"), text = n.name.length > 28 ? n.name.slice(0, 27) + "…" : n.name;
  const w = (16 + 7.6 * text.length) * u, middle = Math.min(Math.max(n.x, (NAMES + 10) * u + w / 2), plan.width - w / 2 - 6 * u);
  n.x = middle;
  group.append(drawn("rect", { class: "shape", x: middle - w / 2, y: n.y - 12 * u, width: w, height: 24 * u, rx: 5 * u }));
  group.append(drawn("text", { class: "mono", x: middle, y: n.y + 4.5 * u, "text-anchor": "middle", "font-size": 13 * u }, text));
  return group;
}

function said(view, n) {
  const kind = n.kind === KINDS.unit ? view.unit : n.kind;
  const parts = [n.name.startsWith(kind) ? n.name : `${kind} ${n.name}`, place_of(n, view.word)];
  if (n.contribution !== null) parts.push(`contributes ${signed(n.contribution)}`);
  return parts.join(", ");
}

function node_drawing(view, n, plan, largest) {
  const u = plan.u, share = largest ? Math.abs(n.contribution ?? 0) / largest : 0;
  const r = (3.2 + 5.2 * Math.sqrt(share)) * u;
  n.r = n.kind === KINDS.target ? 12 * u : r;
  const sign = n.kind === KINDS.target ? "aim" : (n.contribution ?? 0) > 0 ? "plus" : (n.contribution ?? 0) < 0 ? "minus" : "";
  const g = drawn("g", { class: `node ${n.kind} ${sign}`, role: "button", tabindex: "-1", "data-node": n.index, "aria-label": said(view, n) });
  const ring_r = Math.max(r + 3 * u, 7 * u);
  let ring = drawn("circle", { class: "ring", cx: n.x, cy: n.y, r: ring_r });
  const shape = n.kind === KINDS.target ? target_shape(n, u, plan) : shape_of(n, r);
  if (n.kind === KINDS.target) {
    const box = shape.firstChild;
    ring = drawn("rect", { class: "ring", x: +box.getAttribute("x") - 3, y: +box.getAttribute("y") - 3, width: +box.getAttribute("width") + 6, height: +box.getAttribute("height") + 6, rx: 7 * u });
  } else {
    shape.setAttribute("fill-opacity", String(0.35 + 0.65 * Math.sqrt(share)));
    g.append(drawn("circle", { class: "hit", cx: n.x, cy: n.y, r: (SLOT / 2) * u }));
  }
  g.append(shape, ring, drawn("title", {}, said(view, n)));
  n.drawing = g;
  return g;
}

function link_drawing(l, heaviest, u) {
  const a = l.source, b = l.target, y1 = a.y - a.r, y2 = b.y + b.r, lift = Math.max(12 * u, Math.abs(y1 - y2) * 0.45);
  return drawn("path", {
    class: `link ${l.weight < 0 ? "minus" : ""}`,
    d: `M${a.x.toFixed(1)} ${y1.toFixed(1)}C${a.x.toFixed(1)} ${(y1 - lift).toFixed(1)} ${b.x.toFixed(1)} ${(y2 + lift).toFixed(1)} ${b.x.toFixed(1)} ${y2.toFixed(1)}`,
    "stroke-width": ((0.6 + 4.4 * Math.sqrt(Math.abs(l.weight) / heaviest)) * u).toFixed(2),
  });
}

function draw_grounds(view, svg, names, plan) {
  const u = plan.u;
  plan.rows.forEach((r) => {
    const { top, height } = plan.y.get(r), layer = Math.floor((r - 1) / 2);
    const band = r === 0 || (r !== Number.MAX_SAFE_INTEGER && layer % 2 === 1);
    svg.append(drawn("rect", { class: band ? "band" : "band other", x: 0, y: top, width: plan.width, height }));
    names.append(drawn("rect", { class: band ? "band" : "band other", x: 0, y: top, width: NAMES * u, height }));
    names.append(drawn("text", { class: "quiet", x: 8 * u, y: top + height / 2 + 4 * u, "font-size": 12 * u }, row_name(r, view.unit.slice(0, 8))));
  });
  svg.append(drawn("line", { class: "rule", x1: 0, y1: plan.bottom, x2: plan.width, y2: plan.bottom }));
  for (const c of plan.columns) {
    const { left, width } = plan.x.get(c), middle = left + width / 2, text = plan.label(c);
    const short = text.length > 11 ? text.slice(0, 10) + "…" : text;
    const t = drawn("text", { class: c < 0 ? "quiet" : "mono", "font-size": 12 * u }, short);
    if (plan.level) {
      t.setAttribute("x", middle);
      t.setAttribute("y", plan.bottom + 19 * u);
      t.setAttribute("text-anchor", "middle");
    } else {
      t.setAttribute("transform", `translate(${middle + 4 * u} ${plan.bottom + 8 * u}) rotate(-90)`);
      t.setAttribute("text-anchor", "end");
    }
    t.append(drawn("title", {}, c < 0 ? text : `${view.word} ${c}: ${text}`));
    svg.append(t);
  }
}

/// Draws what the sliders let through. Gives the plan and the links drawn.
function draw_graph(view, stage, shown, links) {
  const plan = lay_out(view, shown, stage.clientWidth - 2);
  const svg = drawn("svg", { width: plan.width, height: plan.height });
  const names = drawn("svg", { class: "rows", width: NAMES * plan.u, height: plan.height, "aria-hidden": "true" });
  draw_grounds(view, svg, names, plan);
  const largest = new Map();  // of each row: a row is a cut through the network, or part of one
  for (const n of shown) largest.set(n.row, Math.max(largest.get(n.row) ?? 1e-300, Math.abs(n.contribution ?? 0)));
  const nodes = drawn("g"), lines = drawn("g", { opacity: links.length > 200 ? 0.6 : 1 });
  for (const n of shown) nodes.append(node_drawing(view, n, plan, largest.get(n.row)));
  const heaviest = links.length ? Math.abs(links[0].weight) : 1;
  for (const l of links) {
    l.drawing = link_drawing(l, heaviest, plan.u);
    lines.append(l.drawing);
  }
  svg.append(lines, nodes);
  const kept = [stage.scrollLeft, stage.scrollTop];
  stage.replaceChildren(element("div", {}, svg, names));
  [stage.scrollLeft, stage.scrollTop] = kept;
  return { plan, svg, lines, heaviest };
}

/// The next node in a direction: within the row for left and right, else the nearest of the next row that has one.
function neighbour(shown, from, key) {
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const way = key === "ArrowLeft" ? -1 : 1;
    const row = shown.filter((n) => n.row === from.row).sort((a, b) => a.at - b.at || a.y - b.y || a.x - b.x);
    return row[row.indexOf(from) + way] ?? null;
  }
  const way = key === "ArrowUp" ? 1 : -1;
  const rows = [...new Set(shown.map((n) => n.row))].sort((a, b) => a - b);
  const next = rows[rows.indexOf(from.row) + way];
  return shown.filter((n) => n.row === next).sort((a, b) => Math.abs(a.x - from.x) - Math.abs(b.x - from.x))[0] ?? null;
}
