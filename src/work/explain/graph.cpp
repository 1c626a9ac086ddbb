#include "work/explain/graph.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"

namespace crate {
namespace {

bool is_source(const Unit& u) { return u.kind == UnitKind::token || u.kind == UnitKind::position; }

/// Places of the scores, the largest first; equal ones in their order.
std::vector<std::size_t> by_size(const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

/// Keeps the largest scores until they hold `threshold` of the sum; held[i] = share held by those at least as large.
std::vector<char> keep_largest(const std::vector<double>& scores, double threshold, std::vector<double>& held) {
  const double total = std::accumulate(scores.begin(), scores.end(), 0.0);
  std::vector<char> keep(scores.size());
  held.assign(scores.size(), 1);
  double sum = 0;
  bool enough = false;
  for (const std::size_t i : by_size(scores)) {
    sum += scores[i];
    held[i] = total > 0 ? std::min(1.0, sum / total) : 1;
    keep[i] = !enough && scores[i] > 0;
    enough = enough || sum >= threshold * total;
  }
  return keep;
}

/// Influence on the target of every unit, where edge e counts for share[e] of what flows into its end.
std::vector<double> flow_down(const Edges& all, const std::vector<double>& share) {
  std::vector<double> influence(all.units.size());
  influence.back() = 1;
  std::vector<std::size_t> order(all.edges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Units stand in the order of the forward but for the target, whose edges come first here.
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return all.edges[a].to > all.edges[b].to; });
  for (const std::size_t e : order)
    influence[static_cast<std::size_t>(all.edges[e].from)] +=
        share[e] * influence[static_cast<std::size_t>(all.edges[e].to)];
  influence.back() = 0;
  return influence;
}

/// Removes heads and atoms that reach nothing kept, until none is left. One that nothing kept reaches stays: what flows
/// into it comes from units that are not shown, and it says how much.
void drop_loose_ends(Graph& g) {
  for (bool again = true; again;) {
    again = false;
    std::vector<char> out(g.keep.size());
    for (std::size_t e = 0; e < g.all.edges.size(); ++e) {
      const auto from = static_cast<std::size_t>(g.all.edges[e].from), to = static_cast<std::size_t>(g.all.edges[e].to);
      g.keep_edge[e] = g.keep_edge[e] && g.keep[from] && g.keep[to];
      if (g.keep_edge[e]) out[from] = 1;
    }
    for (std::size_t i = 0; i + 1 < g.keep.size(); ++i) {
      if (!g.keep[i] || is_source(g.all.units[i]) || out[i]) continue;
      g.keep[i] = 0;
      again = true;
    }
  }
}

}  // namespace

std::vector<Part> largest_parts(const Explanation& e, int64_t count) {
  const auto some = [count](const std::vector<Part>& parts) {  // they are sorted already
    return std::span(parts).first(std::min(parts.size(), static_cast<std::size_t>(count) + 1));
  };
  std::vector<Part> out;
  for (const auto& parts : {some(e.heads), some(e.atoms)}) out.insert(out.end(), parts.begin(), parts.end());
  std::erase_if(out, [&](const Part& p) { return e.target.is_unit && p.unit == e.unit; });
  std::stable_sort(out.begin(), out.end(),
                   [](const Part& a, const Part& b) { return std::abs(a.gives) > std::abs(b.gives); });
  out.resize(std::min(out.size(), static_cast<std::size_t>(count)));
  return out;
}

std::vector<Unit> units_of(const Walk& walk, const Explanation& explanation, int64_t top) {
  require(top >= 0 && (top <= static_cast<int64_t>(sorted_parts) || explanation.atoms.size() <= sorted_parts),
          "[explain] top must lie in 0..{}, came {}", sorted_parts, top);
  const std::vector<Part> parts = largest_parts(explanation, top);
  std::vector<Unit> units;
  for (const Part& p : parts) units.push_back(p.unit);
  for (const Source& s : walk.subject().sources(explanation.row, walk.patches().value))
    units.push_back({s.kind, -1, s.position, s.index});
  return units;
}

Graph graph_of(Edges edges, double node_threshold, double edge_threshold) {
  for (const double t : {node_threshold, edge_threshold})
    require(t >= 0 && t <= 1, "[explain] a threshold must lie in 0..1, came {}", t);
  Graph g{std::move(edges), {}, {}, 0, {}, {}, node_threshold, edge_threshold};
  const auto& all = g.all.edges;
  std::vector<double> share(all.size());
  for (std::size_t e = 0; e < all.size(); ++e)
    share[e] = std::abs(all[e].weight) / g.all.inflows[static_cast<std::size_t>(all[e].to)].size;
  g.influence = flow_down(g.all, share);
  for (std::size_t i = 0; i < g.all.units.size(); ++i) g.reached += is_source(g.all.units[i]) ? g.influence[i] : 0;
  // The input and the target are always shown, so the threshold speaks of the heads and atoms between them: in a long
  // text the input's share of all influence would leave none of these.
  std::vector<double> inner = g.influence;
  for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = is_source(g.all.units[i]) ? 0 : inner[i];
  g.keep = keep_largest(inner, node_threshold, g.held);
  for (std::size_t i = 0; i < g.keep.size(); ++i) {
    if (!is_source(g.all.units[i]) && i + 1 < g.keep.size()) continue;
    g.keep[i] = 1;
    g.held[i] = 0;
  }

  std::vector<double> kept_size(g.keep.size());
  const auto kept = [&](const Edge& e) {
    return g.keep[static_cast<std::size_t>(e.from)] && g.keep[static_cast<std::size_t>(e.to)];
  };
  for (const Edge& e : all) kept_size[static_cast<std::size_t>(e.to)] += kept(e) ? std::abs(e.weight) : 0;
  for (std::size_t e = 0; e < all.size(); ++e)
    share[e] = kept(all[e]) ? std::abs(all[e].weight) / kept_size[static_cast<std::size_t>(all[e].to)] : 0;
  std::vector<double> through = flow_down(g.all, share), unused;
  through.back() = 1;
  for (std::size_t e = 0; e < all.size(); ++e) share[e] *= through[static_cast<std::size_t>(all[e].to)];
  g.keep_edge = keep_largest(share, edge_threshold, unused);
  drop_loose_ends(g);
  return g;
}

}  // namespace crate
