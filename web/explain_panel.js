// What is known of one node: numbers, where it comes from and goes to, contexts in which the atom fires, tokens it
// raises and lowers.

function fact(list, name, value) {
  list.append(element("dt", { text: name }), element("dd", {}, value));
}

function link_list(view, links, other, act) {
  const list = element("ul", { class: "ends" });
  const heaviest = links.length ? Math.abs(links[0].weight) : 1;
  for (const l of links.slice(0, 12)) {
    const n = other(l), sign = l.weight < 0 ? "minus" : "plus";
    const meter = element("span", { class: `meter ${sign}`, "aria-hidden": "true" });
    meter.style.width = `${Math.max(1, (100 * Math.abs(l.weight)) / heaviest)}%`;
    list.append(element("li", {}, element("button", { type: "button", title: `${n.name}, ${place_of(n, view.word)}`, onclick: () => act.look(n, true) },
      element("span", { class: "name", text: `${n.name} · ${place_of(n, view.word)}` }),
      element("span", { class: `number ${sign}`, text: signed(l.weight) }), meter)));
  }
  if (links.length > 12) list.append(element("li", { class: "quiet", text: `and ${links.length - 12} lighter ones` }));
  return list;
}

// A run of tokens, or of an image what `title` names.
function context_line(context) {
  if (typeof context.title === "string") return element("p", { class: "context", text: `${number(context.value)}  ${visible(context.title)}` });
  const line = element("p", { class: "context" });
  const most = Math.max(1e-30, ...context.values.map((v) => Math.abs(v)));
  context.tokens.forEach((token, i) => {
    const strength = Math.abs(context.values[i] ?? 0) / most;
    const span = element("span", { class: strength > 0 ? "token fires" : "token", text: visible(token), title: strength > 0 ? number(context.values[i]) : null });
    if (strength > 0) span.style.opacity = String(0.55 + 0.45 * strength);
    line.append(span);
  });
  return line;
}

function word_list(words) {
  const box = element("div", { class: "words" });
  for (const w of words) box.append(token_span(w.token), element("span", { class: "number quiet", text: signed(w.value) }));
  return box;
}

function atom_parts(atom, word) {
  const parts = [];
  if (typeof atom.density === "number") {
    const often = atom.density > 0 ? `fires on ${number(100 * atom.density)} % of ${word === "patch" ? "patches" : "tokens"}` : "fired nowhere in the index";
    parts.push(element("p", { class: "small quiet", text: atom.score === undefined ? often : `${often}; name scored ${number(atom.score)}` }));
  }
  if (atom.contexts?.length) parts.push(element("h3", { text: "Fires most in" }), ...atom.contexts.slice(0, 8).map(context_line));
  if (atom.raises?.length) parts.push(element("h3", { text: "Raises in the output" }), word_list(atom.raises.slice(0, 12)));
  if (atom.lowers?.length) parts.push(element("h3", { text: "Lowers in the output" }), word_list(atom.lowers.slice(0, 12)));
  return parts;
}

function show_panel(view, node, act) {
  const panel = document.getElementById("panel");
  if (!node) {
    panel.replaceChildren(element("h2", { text: "Look at a node" }), element("p", { class: "quiet small", text: "Point at a node of the graph, or move to it with the arrow keys, and what is known of it stands here." }), overview(view, act));
    return;
  }
  const atom = atom_of(view, node), facts = element("dl");
  fact(facts, "what", node.kind === KINDS.unit ? view.unit : node.kind);
  fact(facts, "where", place_of(node, view.word));
  if (typeof node.raw.crate?.unit === "string") fact(facts, "unit", element("code", { text: visible(node.raw.crate.unit) }));
  if (node.activation !== null) fact(facts, "activation", number(node.activation, 4));
  if (node.contribution !== null) fact(facts, "contribution", element("strong", { class: node.contribution < 0 ? "minus" : "plus", text: signed(node.contribution) }));
  if (typeof node.raw.token_prob === "number" && node.kind === KINDS.target) fact(facts, "probability", number(node.raw.token_prob));
  if (node.influence !== null && node.kind !== KINDS.target) fact(facts, "influence up to", number(node.influence));
  const pinned = act.pinned(node);
  panel.replaceChildren(
    element("h2", { text: node.name }),
    element("button", { type: "button", "aria-pressed": String(pinned), text: pinned ? "Unpin" : "Pin", onclick: () => act.pin(node) }), facts,
    ...(atom ? atom_parts(atom, view.word) : []),
    ...(node.comes.length ? [element("h3", { text: "Comes from" }), link_list(view, node.comes, (l) => l.source, act)] : []),
    ...(node.goes.length ? [element("h3", { text: "Goes to" }), link_list(view, node.goes, (l) => l.target, act)] : []),
  );
}

function overview(view, act) {
  const size = (n) => Math.abs(n.contribution ?? 0);
  const top = view.nodes.filter((n) => n.kind !== KINDS.target && n.contribution !== null).sort((a, b) => size(b) - size(a)).slice(0, 10);
  const list = element("ul", { class: "ends" });
  for (const n of top) {
    const sign = n.contribution < 0 ? "minus" : "plus", meter = element("span", { class: `meter ${sign}`, "aria-hidden": "true" });
    meter.style.width = `${Math.max(1, (100 * size(n)) / size(top[0]))}%`;
    list.append(element("li", {}, element("button", { type: "button", onclick: () => act.look(n, true) },
      element("span", { class: "name", text: `${n.name} · ${place_of(n, view.word)}` }), element("span", { class: `number ${sign}`, text: signed(n.contribution) }), meter)));
  }
  return element("div", {}, element("h3", { text: "Largest contributions" }), list);
}
