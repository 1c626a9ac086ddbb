// integer_model: the forward of a byte-level language model in integers, the one that the codec codes with. The same
// weights and bytes give the same logits, bit for bit, on every machine, for every number of rows at a time and every
// number of threads.
//
// A window that slides costs one forward a byte; windows that overlap by a quarter cost 1.33. With models/wiki-bytes,
// trained on windows of 256, bits a byte of the first 200,000 of wiki-test, archive alone: 1.8732 in windows that
// overlap by 64; sliding, heads that see the last 256 tokens 1.8727, 192 1.8723, 160 1.8725, 128 1.8730: what is
// farther comes through the layers below. Half the context is also half of attention's cost and cache.
//
//   z (Q16) = embed[token];  z <- z + W mssa(U norm1(z));  z <- ista(norm2(z)) ...;  logits = E norm(z)
// as in model/language_model.h, every family and option of it. Where a product starts from a code, the groups of four
// atoms that are all zero are skipped.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "work/compress/integer_attention.h"

namespace crate {

/// What the tokens so far left behind: a cache a layer.
struct IntegerState {
  std::vector<IntegerCache> caches;
  int64_t used = 0;
};

class IntegerModel {
 public:
  /// Throws Error when the model does not read bytes (vocabulary 256 or 257) or is too wide for 32-bit sums.
  /// With a `reach` of 1 .. context each head sees the last `reach` tokens, and a state takes many more: its window
  /// slides. Without, and where positions are learned, a state is one window of `context` tokens that all see.
  explicit IntegerModel(const QuantizedModel& model, int64_t reach = 0);
  ~IntegerModel();

  int64_t context() const { return context_; }
  /// Tokens that a state takes, and how many of the last ones begin the state that goes on where it is full.
  int64_t span() const { return span_; }
  int64_t overlap() const { return overlap_; }
  int64_t vocab() const { return vocab_; }
  IntegerState open() const;

  /// A token to be appended to a state; rows of the same state come in order.
  struct Row {
    IntegerState* state;
    int32_t token;
  };
  /// logits (rows, vocab) of what follows each row: Q16, base 2; null: not wanted. Throws Error when a state is full.
  void forward(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits) const;
  /// The same with memory of the caller's, for one forward after another.
  void forward(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits,
               IntegerScratch& scratch) const;

 private:
  struct Layer;
  void forward_some(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits,
                    IntegerScratch& scratch) const;
  void embed(std::span<const Row> rows, int64_t* places, int32_t* z) const;
  void attention_half(const IntegerKernels& kernels, std::size_t layer, std::span<const Row> rows,
                      const int64_t* places, IntegerScratch& scratch) const;

  int64_t d_, context_, vocab_, head_dim_, span_, overlap_;
  std::vector<Layer> layers_;
  std::vector<int32_t> embedding_, positions_;  // Q16
  std::vector<int32_t> turns_;                  // of rotary, of `span` positions
  IntegerNorm norm_;
  bool has_norm_;
  IntegerProduct head_;
};

/// The logits on a fixed text, as bytes: what tells machines apart that would compute other numbers.
std::string behaviour_of(const IntegerModel& model);

}  // namespace crate
