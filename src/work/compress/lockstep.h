// lockstep: streams that are coded together, a byte of each after a byte of each, into one code. What is known after
// every byte is then the same at both ends, so predictors may be shared by all streams (mixer.h) and a model may change
// between rounds (online_learner.h).
//
// A round codes the bytes a .. b - 1 of every stream: the encoder runs them at once, the decoder token after token. Of
// a model that learns the window is anew the last `context` tokens of the stream at every round; else it goes on, as in
// stream_coder.h.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "work/compress/coder.h"
#include "work/compress/integer_model.h"
#include "work/compress/mixer.h"

namespace crate {

/// Piece s of `size` bytes in `count` pieces begins here.
inline int64_t piece_begin(int64_t size, int64_t s, int64_t count) { return size * s / count; }

class Lockstep {
 public:
  /// `size` bytes at `bytes` in `streams` pieces. `learns`: the model changes between rounds. With a mixer, the model
  /// is one of its parts.
  Lockstep(const IntegerKernels& kernels, char* bytes, int64_t size, int64_t streams, bool learns, Mixer* mixer);

  int64_t longest() const { return longest_; }
  /// What is known once every stream has come to byte `at`.
  std::vector<std::string_view> known(int64_t at) const;
  void encode(const IntegerModel& model, int64_t a, int64_t b, BitEncoder& coder);
  /// All bytes in rounds of `length` under a model that does not learn: a second thread runs it over a round while the
  /// round before is coded. `coded(a, b)` after each.
  void encode_ahead(const IntegerModel& model, int64_t length, BitEncoder& coder,
                    const std::function<void(int64_t, int64_t)>& coded);
  void decode(const IntegerModel& model, int64_t a, int64_t b, BitDecoder& coder);

 private:
  struct Piece {
    char* at;
    int64_t size;
    IntegerState state;
  };
  // What the model says of the bytes a .. b - 1, stream after stream.
  struct Round {
    int64_t a = 0, b = 0;
    std::vector<int32_t> logits;
  };
  // What a thread needs for the streams it walks together.
  struct Group {
    std::vector<IntegerModel::Row> rows;
    IntegerScratch scratch;
  };
  int64_t window(const IntegerModel& model, Piece& piece, int64_t a, int64_t b) const;
  void run(const IntegerModel& model, Piece& piece, int64_t from, int64_t to, int32_t* logits) const;
  void score(const IntegerModel& model, int64_t a, int64_t b, Round& round);
  void code(const Round& round, int64_t vocab, BitEncoder& coder);
  void together(const IntegerModel& model, int64_t i);

  const IntegerKernels& kernels_;
  bool learns_;
  Mixer* mixer_;
  std::vector<Piece> pieces_;
  std::vector<Group> groups_;
  int64_t longest_ = 0;
  Round round_;
  std::vector<int32_t> logits_;  // of a byte of every stream
  ByteChances chances_{};
};

}  // namespace crate
