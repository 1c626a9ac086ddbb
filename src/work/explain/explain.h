// explain: what every part of a network gave to one of its outputs, and that the parts add up.
//
// With patterns, scales, active sets and gates held (run/run.h, frozen), a target t is a sum over any complete cut:
//   embed            tokens + positions + every bias of the network; an image's token is its embedded patch, the biases
//                    of that embedding included, or the class token
//   blocks.L.heads   outputs of the heads of block L + the stream beside them + the biases behind them
//   blocks.L.atoms   atoms of block L + the stream beside them, where there is one, + the biases behind them
//   head.in          what the head reads + the biases behind it
// each summed in double. residual = |sum - t| / |t|, t as the forward computed it. Where large terms cancel, t itself
// is known to the rounding of its terms only: off = |sum - t| / sum of |terms| says how well the sum holds as a sum.
#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "work/explain/walk.h"

namespace crate {

/// A head or an atom, its value and what it gives to the target. The value of a head is what it gives.
struct Part {
  Unit unit;
  double value = 0, gives = 0;
};

struct Cut {
  std::string at;
  std::size_t parts = 0;  ///< heads, atoms or sources that give something
  double units = 0, stream = 0, biases = 0;
  double size = 0;  ///< sum of the absolute terms: heads, atoms and numbers of the stream one by one
  double residual = 0;
  double off(double target) const { return std::abs(sum() - target) / (size > 0 ? size : 1); }
  double sum() const { return units + stream + biases; }
};

constexpr std::size_t sorted_parts = 1 << 16;

struct Explanation {
  int64_t row = 0;  ///< of the walk's batch
  Target target;
  Unit unit;  ///< the target as a unit
  double value = 0, probability = 0;
  std::vector<double> tokens, positions;  ///< one a position
  std::vector<Part> heads, atoms;         ///< all that give something, the most first up to sorted_parts
  std::vector<std::pair<std::string, double>> biases;
  std::vector<Cut> cuts;
  /// The largest of a cut: |sum - t| / |t|, and |sum - t| / sum of |terms|.
  double residual() const;
  double off() const;
};

/// Of one row of the walk's batch.
Explanation explain(const Walk& walk, int64_t row);

/// What each position gave to the target through the output of one head: P_ij (Pi d_o_i) . v_j for position j.
std::vector<double> sources_of(const Walk& walk, int64_t row, const Unit& head);

/// What the constants behind a place on the tape give to a row's target.
double biases_behind(const Walk& walk, int64_t row, const Seen& place, bool inside_operator);

}  // namespace crate
