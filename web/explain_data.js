// The graph as the page thinks of it. Text of tokens and names is untrusted: it reaches the page as textContent only.

const KINDS = { token: "token", unit: "unit", head: "head", constant: "constant", target: "target", error: "error" };

// The same as visible_text in C++: characters that cannot be seen, or that reorder others, get a visible stand-in.
function visible(text) {
  let out = "";
  for (const c of String(text ?? "")) {
    const n = c.codePointAt(0);
    if (c === "\n") out += "↵";
    else if (c === "\t") out += "⇥";
    else if (n < 0x20) out += String.fromCodePoint(0x2400 + n);
    else if (n === 0x7f) out += "␡";
    else if ((n >= 0x80 && n < 0xa0) || n === 0xad || (n >= 0x200b && n <= 0x200f) || (n >= 0x2028 && n <= 0x202e) ||
             (n >= 0x2060 && n <= 0x206f) || n === 0xfeff)
      out += `‹${n.toString(16).toUpperCase().padStart(4, "0")}›`;
    else out += c;
  }
  return out;
}

// A token with its leading and trailing spaces shown.
function token_text(text) {
  return visible(text).replace(/^ +| +$/g, (spaces) => "·".repeat(spaces.length)) || "∅";
}

function number(x, digits = 3) {
  if (typeof x !== "number" || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e5 || size < 1e-3 ? size.toExponential(digits - 1) : String(+size.toPrecision(digits));
  return (x < 0 ? "−" : "") + text;
}

function signed(x) {
  return (x > 0 ? "+" : "") + number(x);
}

function kind_of(type) {
  const t = String(type ?? "").toLowerCase();
  if (t.includes("error")) return KINDS.error;
  if (t.includes("logit") || t.includes("target")) return KINDS.target;
  if (t.includes("embedding") || t.includes("token") || t.includes("patch")) return KINDS.token;
  if (t.includes("head") || t.includes("attention")) return KINDS.head;
  if (t.includes("bias") || t.includes("constant") || t.includes("position")) return KINDS.constant;
  return KINDS.unit;
}

function layer_of(node) {
  const n = Number.parseInt(node.crate?.block ?? node.layer, 10);  // our files count heads and atoms of a block apart
  return Number.isFinite(n) ? n : -1;
}

// Rows from below to above: embeddings, then heads and units of each layer, then the target.
function row_of(node) {
  if (node.kind === KINDS.target) return Number.MAX_SAFE_INTEGER;
  if (node.layer < 0) return 0;
  return 1 + 2 * node.layer + (node.kind === KINDS.head ? 0 : 1);
}

function read_nodes(graph, tokens) {
  const layers = 1 + Math.max(-1, ...graph.nodes.filter((n) => kind_of(n.feature_type) !== KINDS.target).map(layer_of));
  return graph.nodes.map((n, index) => {
    const node = {
      index,
      id: String(n.node_id), kind: kind_of(n.feature_type), type: String(n.feature_type ?? ""), raw: n,
      at: Number.isInteger(n.ctx_idx) && n.ctx_idx >= 0 ? n.ctx_idx : -1,
      activation: typeof n.activation === "number" ? n.activation : null,
      influence: typeof n.influence === "number" ? n.influence : null,
      contribution: typeof n.crate?.gives === "number" ? n.crate.gives : null,
      comes: [], goes: [],
    };
    node.layer = node.kind === KINDS.target ? layers : layer_of(n);
    if (node.kind === KINDS.target) node.contribution = null;
    node.row = row_of(node);
    node.token = node.at >= 0 && node.at < tokens.length ? tokens[node.at] : "";
    node.name = name_of(node, graph.metadata?.crate?.target);
    return node;
  });
}

// Where a node of ours stands is told beside it, so its label need not say it again.
function name_of(node, target) {
  const given = visible(node.raw.clerp).trim(), ours = node.raw.crate !== undefined;
  if (ours && node.kind === KINDS.target && typeof target?.text === "string")
    return token_text(target.text) + (typeof target.contrast === "string" ? ` rather than ${token_text(target.contrast)}` : "");
  if (node.kind === KINDS.token && (ours || !given)) return token_text(node.token);
  if (given && !(ours && given.startsWith("block "))) return given;
  const what = node.kind === KINDS.unit ? visible(node.type) || "unit" : node.kind;
  return `${what} ${visible(node.raw.feature ?? node.id)}`;
}

function place_of(node, word) {
  const layer = node.kind === KINDS.target ? "output" : node.layer < 0 ? "embedding" : `layer ${node.layer}`;
  if (node.at < 0) return layer;
  return `${layer}, ${word === "patch" ? "" : `${word} ${node.at} `}${token_text(node.token)}`;  // patches bear their place
}

// Without an influence of the file's own: the cumulated share of |contribution|, largest first.
function fill_influence(nodes) {
  const open = nodes.filter((n) => n.influence === null);
  if (!open.length) return;
  const size = (n) => Math.abs(n.contribution ?? 0);
  const total = open.reduce((sum, n) => sum + size(n), 0) || 1;
  let sum = 0;
  for (const n of [...open].sort((a, b) => size(b) - size(a))) {
    sum += size(n) / total;
    n.influence = Math.min(1, sum);
  }
}

// What the file calls its units: atoms, neurons.
function unit_name(nodes) {
  const names = new Set(nodes.filter((n) => n.kind === KINDS.unit).map((n) => visible(n.type)));
  return names.size === 1 && [...names][0].length <= 12 ? [...names][0] : "unit";
}

function read_graph(graph, extras) {
  const tokens = (graph.metadata?.prompt_tokens ?? []).map(String);
  const nodes = read_nodes(graph, tokens);
  const by_id = new Map(nodes.map((n) => [n.id, n]));
  const links = [];
  for (const l of graph.links ?? []) {
    const source = by_id.get(String(l.source)), target = by_id.get(String(l.target));
    if (!source || !target || typeof l.weight !== "number" || !Number.isFinite(l.weight)) continue;
    const link = { source, target, weight: l.weight };
    links.push(link);
    source.goes.push(link);
    target.comes.push(link);
  }
  for (const n of nodes) {
    if (n.contribution === null && n.kind !== KINDS.target) {
      const direct = n.goes.filter((l) => l.target.kind === KINDS.target);
      if (direct.length) n.contribution = direct.reduce((sum, l) => sum + l.weight, 0);
    }
    n.comes.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
    n.goes.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  }
  fill_influence(nodes);
  links.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  const word = extras.image ? "patch" : "token";
  return { graph, extras, tokens, nodes, links, by_id, word, unit: unit_name(nodes) };
}

function atom_of(view, node) {
  const key = view.extras.of?.[node.id];
  return key === undefined ? null : view.extras.atoms?.[key] ?? null;
}

// ---- small helpers for elements ----

function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") e.textContent = value;
    else if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null));
  return e;
}

function drawn(tag, attributes = {}, text = null) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  if (text !== null) e.textContent = text;
  return e;
}

function token_span(text, extra = "") {
  return element("span", { class: `token ${extra}`, text: token_text(text) });
}
