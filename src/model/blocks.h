// blocks: the two halves of a block, which all models here share, and a stack of such blocks.
//
//   z_mid  = z + W mssa(U norm1(z))                     (twins: z + W mha(norm1(z)))
//   z_post = ista(norm2(z_mid)) [+ z_mid]               (twins: z_mid + mlp(norm2(z_mid)))
//
// Which operator is the second half, and which options apply, follows from the configuration alone. Sites of block i,
// in the order in which they come, all with the stack's prefix ("blocks."):
//   {i}.z_pre, .norm1.out             stream before the block, after its first norm
//   {i}.mssa.coords|pattern|heads|out w; attention weights; outputs of the heads side by side; after W
//   {i}.z_mid, .norm2.out             stream after the attention half, after the second norm
//   {i}.ista.pre|code0|code|out       last argument of relu; first and last code; what the half gives
//   {i}.z_post                        stream after the block
// The decoder of crate-mae has mirrored blocks (Pai et al. 2024), the way of the encoder's in reverse:
//   z_mid  = L norm1(z)      z_post = z_mid - W mssa(U norm2(z_mid))
// with {i}.linear.out (z_mid itself) before z_mid. Twins have mha.* (coords = q|k|v) and mlp.hidden|out. All may be
// edited when the run does not record.
#pragma once
#include <string>

#include "model/config.h"
#include "model/store.h"
#include "ops/attention.h"
#include "run/run.h"

namespace crate {

class Blocks {
 public:
  /// The parameters named `prefix`0... of the store, as `config` shapes them; both must outlive this.
  Blocks(const ModelConfig& config, ParameterStore& store, std::string prefix, bool causal)
      : config_(config), store_(store), prefix_(std::move(prefix)), causal_(causal) {}

  /// Block i on the stream z (b, n, d). With a cache, z holds only the tokens after those in it.
  Tensor block(Run& run, int64_t i, const Tensor& z, TokenCache* cache = nullptr) const;

  /// Mirrored block i.
  Tensor mirrored_block(Run& run, int64_t i, const Tensor& z) const;

  /// The second half of block i alone, on rows of z_mid (.., d), each for itself.
  Tensor second_half(Run& run, int64_t i, const Tensor& z) const;

  /// A norm of the store by name, on the last dimension.
  Tensor norm(Run& run, const std::string& name, const Tensor& z, double eps, bool operand = false) const;
  /// The parameter of that name, or an empty tensor.
  Tensor optional(Run& run, const std::string& name) const;

 private:
  std::string name(int64_t i) const { return fmt::format("{}{}.", prefix_, i); }
  struct Join {
    const char* norm = "norm1";
    double sign = 1;  // of what is added to the stream
  };
  Tensor attention_half(Run& run, int64_t i, const Tensor& z, TokenCache* cache, const Join& join) const;
  Tensor heads(Run& run, const std::string& at, const Tensor& coords, TokenCache* cache) const;
  Tensor transform(Run& run, int64_t i, const Tensor& v, const Tensor& residual) const;
  Tensor step_or_threshold(Run& run, const std::string& name, double fixed) const;

  const ModelConfig& config_;
  ParameterStore& store_;
  std::string prefix_;
  bool causal_;
};

}  // namespace crate
