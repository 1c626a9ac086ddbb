// effects: what atoms write into the output, and which go together.
//
// Direct logit effect of an atom with read-out vector r (a row of the dictionary that writes; a column of w_out; for
// square dictionaries a coordinate of the stream), per unit of activation:
//   e = E (scale * (r - mean(r))) * mean over tokens of 1 / s        E the head, scale and s those of the final norm
// This is the frozen-linear path of the stream straight to the head, averaged over the corpus through s alone. It is
// the whole direct path in the last layer, and in every layer of families whose stream runs past the second half of a
// block. Where the stream is renewed by each block (no residual around ista) an atom of an earlier layer reaches the
// head through the blocks above only: there e tells which tokens the vector points at (the logit lens), not a path.
//
// Correlation is Pearson's, over the sample of the corpus, between atoms of one site.
#pragma once
#include <cstdint>
#include <vector>

#include "work/atoms/observation.h"

namespace crate {

struct Effects {
  static constexpr int64_t listed = 10, bins = 40;
  std::vector<std::pair<int32_t, float>> raised, lowered;  // token, effect; strongest first
  float least = 0, most = 0;
  std::vector<uint32_t> histogram;  // over all tokens, between least and most
};

/// Of every atom of a layer.
std::vector<Effects> direct_effects(Observation& seen, int64_t layer);
/// Does the stream of this model run past the block to the head, so that the effect above is a path in every layer?
bool has_direct_path(const ModelConfig& config);

/// The five atoms of the same site with the largest correlation, largest first; none of silent atoms.
std::vector<std::vector<std::pair<int32_t, float>>> most_correlated(const SiteStatistics& site);

}  // namespace crate
