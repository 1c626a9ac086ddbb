// language_model: a causal language model of any family here, as a short list of operators.
//
//   z = embed.tokens[token] + embed.pos[position]
//   per block:  z_mid  = z + W mssa(U norm1(z))                  (twins: z + W mha(norm1(z)))
//               z_post = ista(norm2(z_mid))   no residual        (twins: z_mid + mlp(norm2(z_mid)))
//   logits = E norm(z)      E = embed.tokens, or head.weight when untied; crate-gpt has no final norm
//
// The same forward trains, evaluates, generates and explains. Sites, in the order in which they come: embed.out (z of
// layer 0), those of the blocks (see blocks.h), head.in, head.logits.
#pragma once
#include <cstdint>
#include <vector>

#include "model/blocks.h"
#include "model/model.h"
#include "ops/cross_entropy.h"

namespace crate {

/// What a sequence leaves behind for its next token: one cache a layer.
class DecodeState {
 public:
  DecodeState(Device& device, const ModelConfig& config, int64_t batch);
  ~DecodeState();
  DecodeState(const DecodeState&) = delete;
  DecodeState& operator=(const DecodeState&) = delete;

  int64_t length() const { return caches_.front().used; }
  void clear();
  TokenCache* at(int64_t layer) { return &caches_[static_cast<std::size_t>(layer)]; }
  /// Bytes one more token costs, over all layers: d numbers a layer for MSSA, 2 d with a metric and for ordinary
  /// attention.
  static int64_t bytes_per_token(const ModelConfig& config, Dtype dtype);

 private:
  Device& device_;
  std::vector<TokenCache> caches_;
};

class LanguageModel final : public Model {
 public:
  /// Throws Error when the configuration is not that of a model of text.
  LanguageModel(Device& device, const ModelConfig& config);

  /// tokens i32 (b, n), each in [0, vocab), n <= context (with a state: state length + n <= context).
  /// Gives head.in (b, n, d).
  Tensor hidden(Run& run, const Tensor& tokens, DecodeState* state = nullptr);
  /// (b, n, vocab).
  Tensor logits(Run& run, const Tensor& tokens, DecodeState* state = nullptr);
  /// The head on what hidden() gave: (.., d) to (.., vocab).
  Tensor head(Run& run, const Tensor& hidden);
  /// Mean next-token loss; targets i32 (b, n), -1 = not counted. `weight` scales the gradient only.
  CrossEntropy loss(Run& run, const Tensor& tokens, const Tensor& targets, double weight = 1);

  const Blocks& blocks() const { return blocks_; }
  /// As nanoGPT and the papers count: without the position table.
  int64_t parameters_without_positions() const { return count_parameters(config()).without_positions; }

 private:
  Param& head_weight();

  Blocks blocks_;
};

}  // namespace crate
