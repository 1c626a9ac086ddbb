// language_model: a causal language model of any family here, as a short list of operators.
//
//   z = embed.tokens[token] + embed.pos[position]
//   per block:  z_mid  = z + W mssa(U norm1(z))                  (twins: z + W mha(norm1(z)))
//               z_post = ista(norm2(z_mid))   no residual        (twins: z_mid + mlp(norm2(z_mid)))
//   logits = E norm(z)      E = embed.tokens, or head.weight when untied; crate-gpt has no final norm
//
// The same forward trains, evaluates, generates and explains. Sites, in the order in which they come:
//   embed.out                             z of layer 0
//   blocks.{i}.z_pre, .norm1.out          stream before the block, after its first norm
//   blocks.{i}.mssa.coords|pattern|heads|out   w; attention weights; outputs of the heads side by side; after W
//   blocks.{i}.z_mid, .norm2.out          stream after the attention half, after the second norm
//   blocks.{i}.ista.pre|code0|code|out    last argument of relu; first and last code; what the half gives
//   blocks.{i}.z_post                     stream after the block
//   head.in, head.logits
// Twins have mha.* (coords = q|k|v) and mlp.hidden|out. All may be edited when the run does not record.
#pragma once
#include <cstdint>
#include <vector>

#include "model/parameters.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "run/run.h"

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
  /// Bytes one more token costs, over all layers: d numbers a layer for MSSA, 2 d for ordinary attention.
  static int64_t bytes_per_token(const ModelConfig& config, Dtype dtype);

 private:
  Device& device_;
  std::vector<TokenCache> caches_;
};

class LanguageModel {
 public:
  /// Throws Error when the configuration does not hold together. Values are not set: init() or a loader does.
  LanguageModel(Device& device, const ModelConfig& config);

  const ModelConfig& config() const { return config_; }
  ParameterStore& store() { return store_; }
  const ParameterStore& store() const { return store_; }
  Device& device() { return device_; }

  /// The authors' initialisation; the same numbers on every device.
  void init(uint64_t seed) { init_parameters(store_, config_, seed); }
  /// Each block's activations are computed again in the backward instead of kept.
  void set_recompute(bool on) { recompute_ = on; }

  /// tokens i32 (b, n), each in [0, vocab), n <= context (with a state: state length + n <= context).
  /// Gives head.in (b, n, d).
  Tensor hidden(Run& run, const Tensor& tokens, DecodeState* state = nullptr);
  /// (b, n, vocab).
  Tensor logits(Run& run, const Tensor& tokens, DecodeState* state = nullptr);
  /// The head on what hidden() gave: (.., d) to (.., vocab).
  Tensor head(Run& run, const Tensor& hidden);
  /// The second half of block i (norm, sparse coding or mlp, residual) on rows of its stream z_mid, each for itself.
  Tensor second_half(Run& run, int64_t i, const Tensor& z);
  /// Mean next-token loss; targets i32 (b, n), -1 = not counted. `weight` scales the gradient only.
  CrossEntropy loss(Run& run, const Tensor& tokens, const Tensor& targets, double weight = 1);

  int64_t parameters() const { return store_.count(); }
  /// As nanoGPT and the papers count: without the position table.
  int64_t parameters_without_positions() const { return count_parameters(config_).without_positions; }

 private:
  Tensor block(Run& run, int64_t i, const Tensor& z, DecodeState* state);
  Tensor attention_half(Run& run, int64_t i, const Tensor& z, DecodeState* state);
  Tensor norm(Run& run, const std::string& name, const Tensor& z);
  Tensor optional(Run& run, const std::string& name);
  Tensor step_or_threshold(Run& run, const std::string& name, double fixed);
  Param& head_weight();

  Device& device_;
  ModelConfig config_;
  ParameterStore store_;
  bool recompute_ = false;
};

}  // namespace crate
