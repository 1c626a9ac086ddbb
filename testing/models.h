// models: small models of every family, plain and with every option on, and batches for them.
#pragma once
#include <string>
#include <vector>

#include "model/language_model.h"

namespace crate {

struct ModelCase {
  std::string name;
  ModelConfig config;
};

/// Odd sizes throughout: width 15, 3 heads (rotary: width 12, 2 heads), vocabulary 23, context 11.
std::vector<ModelCase> small_models();

/// init(), then noise on every parameter, so that nothing stands at 0 or 1. The same numbers on every device.
void init_noisily(LanguageModel& model, uint64_t seed);

/// `rows` x `cols` tokens below `vocab`; every fifth target is -1.
struct Batch {
  Batch(int64_t rows, int64_t cols, int64_t vocab, uint64_t seed);
  Tensor tokens() { return {tokens_.data(), shape_, Dtype::i32}; }
  Tensor targets() { return {targets_.data(), shape_, Dtype::i32}; }
  /// Columns lo .. hi - 1 of a batch of one row.
  Tensor tokens(int64_t lo, int64_t hi) { return {tokens_.data() + lo, {1, hi - lo}, Dtype::i32}; }

 private:
  Shape shape_;
  std::vector<int32_t> tokens_, targets_;
};

}  // namespace crate
