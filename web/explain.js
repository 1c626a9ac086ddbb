// The page: reads the graph, keeps what is chosen, pinned and pruned, and redraws.

const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const by = (id) => document.getElementById(id);
const view = read_graph(parsed("graph"), parsed("atoms"));
const pins = new Pins(view);
const state = { chosen: null, near: null, shown: [], links: [], drawn: null, order: { key: "contribution", down: true } };

function say(text) {
  by("say").textContent = text;
}

// ---- what the sliders let through ----

// Cumulated share of |weight| down to the threshold; never more links than a reader can tell apart.
function links_shown(share, shown) {
  const inside = new Set(shown), links = view.links.filter((l) => inside.has(l.source) && inside.has(l.target));
  const total = links.reduce((sum, l) => sum + Math.abs(l.weight), 0) * share;
  let sum = 0, count = 0;
  while (count < links.length && sum < total && count < 1500) sum += Math.abs(links[count++].weight);
  return links.slice(0, count);
}

// A share at which the first view holds about as many links as nodes.
function first_share() {
  const inside = new Set(nodes_shown(+by("prune").value)), links = view.links.filter((l) => inside.has(l.source) && inside.has(l.target));
  const sum = (list) => list.reduce((total, l) => total + Math.abs(l.weight), 0);
  return sum(links.slice(0, Math.max(40, Math.min(240, 1.5 * inside.size)))) / (sum(links) || 1);
}

function nodes_shown(limit) {
  return view.nodes.filter((n) => n.kind === KINDS.target || n.kind === KINDS.token || pins.has(n.id) || n.influence <= limit + 1e-9);
}

function redraw() {
  const limit = +by("prune").value, share = +by("links").value;
  state.shown = nodes_shown(limit);
  state.links = links_shown(share, state.shown);
  by("prune-out").textContent = limit.toFixed(2);
  by("links-out").textContent = `${Math.round(100 * share)} %`;
  by("shown").textContent = `${state.shown.length} of ${view.nodes.length} nodes, ${state.links.length} of ${view.links.length} links`;
  state.drawn = draw_graph(view, by("stage"), state.shown, state.links);
  for (const n of state.shown) n.drawing.classList.toggle("pinned", pins.has(n.id));
  set_entry(state.chosen && state.shown.includes(state.chosen) ? state.chosen : state.shown.find((n) => n.kind === KINDS.target) ?? state.shown[0]);
  light(state.near ?? state.chosen);
  filter_table();
}

// The one node that Tab reaches.
function set_entry(node) {
  for (const n of state.shown) n.drawing.setAttribute("tabindex", n === node ? "0" : "-1");
}

// On an image: the patch of the node looked at.
function show_patch(node) {
  const image = view.extras.image, at = node ? node.at - image?.first : -1;
  if (!image) return;
  const inside = at >= 0 && at < image.rows * image.columns;
  const place = { class: "patch", x: at % image.columns, y: Math.floor(at / image.columns), width: 1, height: 1 };
  by("patches").replaceChildren(...(inside ? [drawn("rect", place)] : []));
}

// The node's own links stand out; those the slider hides are drawn while it is looked at.
function light(node) {
  const { svg, lines, heaviest, plan } = state.drawn;
  for (const e of svg.querySelectorAll(".extra")) e.remove();
  for (const e of svg.querySelectorAll(".on, .chosen")) e.classList.remove("on", "chosen");
  const here = node && state.shown.includes(node);
  show_patch(node);
  svg.classList.toggle("lit", Boolean(here));
  if (!here) return;
  const drawn_links = new Set(state.links), shown = new Set(state.shown);
  for (const l of [...node.comes, ...node.goes]) {
    const other = l.source === node ? l.target : l.source;
    if (!shown.has(other)) continue;
    other.drawing.classList.add("on");
    if (!drawn_links.has(l)) {
      l.drawing = link_drawing(l, heaviest, plan.u);
      l.drawing.classList.add("extra");
      lines.append(l.drawing);
    }
    l.drawing.classList.add("on");
  }
  node.drawing.classList.add("on", "chosen");
}

// ---- choosing and pinning ----

const act = {
  look(node, focus = false) {
    state.chosen = node;
    if (node && !state.shown.includes(node) && node.influence > +by("prune").value) {
      by("prune").value = String(Math.min(1, Math.ceil(100 * node.influence) / 100));
      redraw();
    }
    light(node);
    show_panel(view, node, act);
    mark_row(node);
    if (!node) return;
    set_entry(node);
    if (focus && node.drawing) {
      node.drawing.focus({ preventScroll: true });
      node.drawing.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  },
  pinned: (node) => pins.has(node.id),
  pin(node) {
    pins.toggle(node.id);
    say(`${node.name} ${pins.has(node.id) ? "pinned" : "unpinned"}`);
    node.drawing?.classList.toggle("pinned", pins.has(node.id));
    changed();
    if (state.chosen === node) show_panel(view, node, act);
  },
  ungroup(group) {
    pins.dissolve(group);
    changed();
  },
};

function changed() {
  show_pins(view, pins, act);
  const q = pins.saved();
  history.replaceState(null, "", "#" + new URLSearchParams({ pinnedIds: q.pinnedIds.join(","), supernodes: JSON.stringify(q.supernodes) }));
}

function node_of(event) {
  const g = event.target.closest?.(".node");
  return g ? view.nodes[+g.dataset.node] : null;
}

function listen_to_graph() {
  const stage = by("stage");
  stage.addEventListener("pointerover", (e) => {
    const n = node_of(e);
    if (n && n !== state.near) {
      state.near = n;
      light(n);
      show_panel(view, n, act);
    }
  });
  stage.addEventListener("pointerleave", () => {
    state.near = null;
    light(state.chosen);
    show_panel(view, state.chosen, act);
  });
  stage.addEventListener("click", (e) => {
    const n = node_of(e);
    if (!n) return act.look(null);
    act.pin(n);
    act.look(n, true);
  });
  stage.addEventListener("focusin", (e) => {
    const n = node_of(e);
    if (n && n !== state.chosen) act.look(n);
  });
  stage.addEventListener("keydown", (e) => {
    const n = node_of(e);
    if (!n || e.altKey || e.ctrlKey || e.metaKey) return;
    if (e.key.startsWith("Arrow")) {
      const next = neighbour(state.shown, n, e.key);
      if (next) act.look(next, true);
      e.preventDefault();
    } else if (e.key === "Enter" || e.key === " ") {
      act.pin(n);
      e.preventDefault();
    } else if (e.key === "g" || e.key === "G") {
      if (!pins.has(n.id)) act.pin(n);
      pins.ticked.add(n.id);
      show_pins(view, pins, act);
      by("group-name").focus();
      e.preventDefault();
    }
  });
}

// ---- the table ----

function rows() {
  return [...by("table").tBodies[0].rows];
}

function node_of_row(row) {
  return view.nodes[+row.dataset.node];
}

function mark_row(node) {
  for (const r of rows()) r.classList.toggle("chosen", node_of_row(r) === node);
}

function filter_table() {
  const words = by("find").value.trim().toLowerCase(), only = by("only-shown").checked, shown = new Set(state.shown);
  let found = 0;
  for (const r of rows()) {
    r.hidden = (words !== "" && !r.textContent.toLowerCase().includes(words)) || (only && !shown.has(node_of_row(r)));
    found += r.hidden ? 0 : 1;
  }
  by("found").textContent = `${found} of ${view.nodes.length}`;
}

const COLUMNS = [["name", (n) => n.name], ["kind", (n) => n.kind], ["layer", (n) => n.row], ["token", (n) => n.at],
  ["activation", (n) => n.activation ?? -Infinity], ["influence", (n) => n.influence ?? 2], ["contribution", (n) => Math.abs(n.contribution ?? 0)]];

function sort_table(key) {
  const order = state.order;
  order.down = order.key === key ? !order.down : key === "contribution" || key === "activation";
  order.key = key;
  const value = COLUMNS.find(([k]) => k === key)[1], way = order.down ? -1 : 1;
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = rows().sort((a, b) => way * compare(value(node_of_row(a)), value(node_of_row(b))));
  by("table").tBodies[0].append(...sorted);
  show_order();
}

function show_order() {
  [...by("table").tHead.rows[0].cells].forEach((cell, i) => {
    if (COLUMNS[i]) cell.setAttribute("aria-sort", COLUMNS[i][0] !== state.order.key ? "none" : state.order.down ? "descending" : "ascending");
  });
}

function listen_to_table() {
  [...by("table").tHead.rows[0].cells].forEach((cell, i) => {
    if (!COLUMNS[i]) return;
    cell.replaceChildren(element("button", { type: "button", text: cell.textContent, onclick: () => sort_table(COLUMNS[i][0]) }));
  });
  show_order();
  by("table").tBodies[0].addEventListener("click", (e) => {
    const row = e.target.closest("tr");
    if (row) act.look(node_of_row(row), true);
  });
  by("find").addEventListener("input", filter_table);
  by("only-shown").addEventListener("change", filter_table);
}

// ---- the rest ----

function group_now() {
  const name = by("group-name").value.trim();
  const ready = pins.ticked.size > 0 && name !== "";
  say(ready ? `${pins.group(name)} nodes grouped as ${name}` : "Tick pinned nodes and give the group a name first");
  if (!ready) return void by("group-name").focus();
  by("group-name").value = "";
  changed();
}

function save() {
  const text = JSON.stringify({ ...view.graph, qParams: pins.saved() }, null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = String(view.graph.metadata?.slug || "graph").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 80);
  element("a", { href: url, download: `${name}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function listen_to_theme() {
  const root = document.documentElement, button = by("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const is_dark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const label = () => (button.textContent = is_dark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    root.dataset.theme = is_dark() ? "light" : "dark";
    label();
  });
  dark.addEventListener("change", label);
  label();
}

function read_address() {
  const q = new URLSearchParams(location.hash.slice(1));
  if (!q.has("pinnedIds")) return;
  try {
    view.graph.qParams = { ...(view.graph.qParams ?? {}), pinnedIds: q.get("pinnedIds").split(","), supernodes: JSON.parse(q.get("supernodes") || "[]") };
    Object.assign(pins, new Pins(view));
  } catch {
    say("The address holds no readable pins");
  }
}

function start() {
  document.documentElement.classList.add("js");
  const threshold = Number(view.graph.metadata?.node_threshold);
  by("prune").value = String(threshold > 0 && threshold <= 1 ? threshold : 0.8);
  by("links").value = first_share().toFixed(2);
  by("legend").textContent = `■ ${view.word}   ◆ head   ● ${view.unit}   ▲ constant; larger: contributes more than others of its row; blue and solid: raises the target, orange and dashed: lowers it.`;
  read_address();
  redraw();
  listen_to_graph();
  listen_to_table();
  listen_to_theme();
  by("prune").addEventListener("input", redraw);
  by("links").addEventListener("input", redraw);
  by("group").addEventListener("click", group_now);
  by("group-name").addEventListener("keydown", (e) => e.key === "Enter" && group_now());
  by("save").addEventListener("click", save);
  by("clear").addEventListener("click", () => {
    pins.clear();
    redraw();
    changed();
    show_panel(view, state.chosen, act);
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") act.look(null);
  });
  let last = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== last) {
      last = innerWidth;
      redraw();
    }
  });
  show_pins(view, pins, act);
  const clicked = view.by_id.get(String(view.graph.qParams?.clickedId ?? ""));
  if (clicked) act.look(clicked);
  else show_panel(view, null, act);
}

start();
