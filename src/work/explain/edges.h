// edges: direct effects between units: what one gives to another along paths that meet no unit in between.
//
// Between units lie only the stream, norms with held scales and held gates, so everything is linear:
//   into an atom at (L, i)     the second half of block L, walked back from that atom's code to the stream at i
//   into a head at (L, i)      its values: position j gives P_ij (Pi d_o) U_h norm1(z_j), where d_o is the target's
//   gradient
//                              at the head; a head's value is d_o . o, what it gives to the target
//   into the target            the stream behind the last block, read by the target's gradient
// Down the stream a direction r meets the writes of the units: an atom gives r . V_a z_a, a head r . W_h o_h, a token
// and a position r . their embeddings; where no stream runs beside the second half, the atoms are all there is. For
// every unit: value = sum of the effects into it + what constants give. Along the graph contributions are conserved:
//   c_s = sum over t of effect(s -> t) c_t / value_t.
#pragma once
#include <vector>

#include "work/explain/explain.h"

namespace crate {

struct Edge {
  int32_t from = 0, to = 0;  // places in the list of units
  double weight = 0;         // the direct effect
};

/// What flows into a unit directly.
struct Inflow {
  double value = 0;   // the unit's value
  double shown = 0;   // sum of the edges
  double rest = 0;    // from units that are not in the list
  double biases = 0;  // from constants
  double size = 0;    // sum of the absolute effects of all units, listed or not
  double sum() const { return shown + rest + biases; }
};

struct Edges {
  std::vector<Unit> units;      // sources first: sorted by layer, heads before atoms, the target last
  std::vector<double> gives;    // to the target
  std::vector<Inflow> inflows;  // one a unit; sources have none
  std::vector<Edge> edges;      // none of weight 0
  /// The largest |value - sum| / (size + |biases|) of a unit; a size below 1e-3 of the largest counts as that.
  double residual() const;
};

/// Direct effects among `units` (heads, atoms, tokens, positions) and into the target, in one row of the batch.
Edges edges_among(const Walk& walk, const Explanation& explanation, std::vector<Unit> units);

}  // namespace crate
