// models: small models of every family, plain and with options on, and batches for them.
#pragma once
#include <string>
#include <vector>

#include "model/models.h"

namespace crate {

struct ModelCase {
  std::string name;
  ModelConfig config;
};

/// Odd sizes throughout: width 15, 3 heads (rotary: width 12, 2 heads), vocabulary 23, context 11.
std::vector<ModelCase> small_models();

/// The same for images, 2 x 3 patches of 4 x 2 pixels and more of them: every family plain, and with options.
std::vector<ModelCase> small_image_models();

/// init(), then noise on every parameter, so that nothing stands at 0 or 1. The same numbers on every device.
void init_noisily(Model& model, uint64_t seed);

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

/// Images of the model's size, `more` patches larger each way, soft targets for its classes, and noise for masks.
struct PixelBatch {
  PixelBatch(const ModelConfig& config, int64_t rows, int64_t more, uint64_t seed);
  Tensor images() { return {images_.data(), shape_, Dtype::f32}; }
  Tensor targets() { return {targets_.data(), {shape_[0], classes_}, Dtype::f32}; }
  Tensor noise() { return {noise_.data(), {shape_[0], patches_}, Dtype::f32}; }

 private:
  Shape shape_;
  int64_t classes_, patches_;
  std::vector<float> images_, targets_, noise_;
};

}  // namespace crate
