// graph: the units that carry an answer and the direct effects between them, pruned by influence.
//
// Influence as circuit-tracer defines it (Hanna et al., 2025): A_ts = |effect of s on t| / sum of |effects| on t, the
// sum over all units, listed or not, so what flows through unlisted units is lost and not shared out; the influence of
// s on the target is (A + A^2 + ...)_(target, s), which on a graph without cycles is one pass from the target down.
// Units are kept, the most influential first, until they hold `node_threshold` of all influence; tokens and positions
// always. With A of the kept units normalised again, edges are kept until they hold `edge_threshold` of A_ts (influence
// of t); heads and atoms that no edge reaches, or that reach nothing, go.
#pragma once
#include "work/explain/edges.h"

namespace crate {

struct GraphOptions {
  int64_t top = 500;  // heads and atoms considered: those that give most to the target; at most sorted_parts
  double node_threshold = 0.8, edge_threshold = 0.98;
};

struct Graph {
  Edges all;                      // before pruning
  std::vector<double> influence;  // of every unit of `all`
  std::vector<double> held;       // share of all influence held by the units at least as influential
  double reached = 0;             // influence that arrives at tokens and positions: 1 less what was lost on the way
  std::vector<char> keep;         // a unit
  std::vector<char> keep_edge;    // an edge of all.edges
  double node_threshold, edge_threshold;
};

/// The heads and atoms that give most, without the target.
std::vector<Part> largest_parts(const Explanation& explanation, int64_t count);

/// The `top` heads and atoms that give most, and every token and position.
std::vector<Unit> units_of(const Walk& walk, const Explanation& explanation, int64_t top);

Graph graph_of(Edges edges, double node_threshold, double edge_threshold);

}  // namespace crate
