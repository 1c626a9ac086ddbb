// integer_attention: mssa and mha of one layer on integers, one token after another against a cache. The options are
// those of ops/mssa.h, in its order. Letters: k heads, p their width.
//
// Value rows are int16 with a fixed number of fractional bits that the norm before the projection guarantees to
// suffice: |u . x| <= |u o scale| sqrt(d) + |u . shift|. Keys are int16 too: Q11 when they are RMS-normalised, else as
// long as 15 bits allow; so are queries times temperature, so that a score fits 31 bits.
//
// On one Zen 4 core beside other work, us of decoding a byte of models/wiki-bytes: 27 with a head's row after
// another's, 24.6 with rows of all heads at once and, in the white box, one norm for query and key; 20.4 since
// the loops are by hand (integer_vnni_loops.h).
#pragma once
#include <cstdint>
#include <vector>

#include "work/compress/integer_layers.h"

namespace crate {

/// What the tokens so far left behind in one layer, in the layouts of integer_kernels.h, head after head.
struct IntegerCache {
  AlignedVector<int16_t> keys, values;
  std::vector<int32_t> last;  // raw projection of the newest token, for `shift` and `trace`
};

/// The rotations of `positions` positions, (positions, p): p/2 cosines, p/2 sines, Q14.
std::vector<int32_t> rotations(int64_t positions, int64_t p, double base);

class IntegerAttention {
 public:
  /// A head sees at most `reach` tokens, its own among them: the cache is a ring of so many.
  IntegerAttention(const QuantizedModel& model, int64_t layer, int64_t reach);

  void open(IntegerCache& cache) const;
  /// `raw` is the projection of the token at `position` (k p, or q|k|v), Q16, `turn` the rotation there or null; its
  /// rows enter the cache; the heads' outputs side by side (k p), Q16, come out.
  void attend(const IntegerKernels& kernels, const int32_t* raw, int64_t position, const int32_t* turn,
              IntegerCache& cache, IntegerScratch& scratch, int32_t* out) const;

 private:
  // Of the scores of a head: temperature log2(e) / sqrt(p). It is on the query, so that scores are dot products alone.
  struct Factor {
    int32_t mantissa;    // Q16 row -> query, to the right by `down`
    int down, fraction;  // fractional bits of a score
  };

  // Square matrices, a head each, as int16 with `fraction` fractional bits: their columns lie as keys do.
  struct Metric {
    AlignedVector<int16_t> columns;
    int fraction = 0;
  };

  void set_share(const std::vector<float>& numbers);
  void set_direction(const std::vector<float>& numbers);
  Metric metric_of(const QuantizedMatrix& m, double longest) const;
  void apply(const IntegerKernels& kernels, const Metric& metric, const int16_t* own, int32_t* rows) const;
  const int32_t* traced(const IntegerKernels& kernels, const int32_t* raw, int64_t position, const IntegerCache& cache,
                        IntegerScratch& scratch) const;
  void set_shifts(const QuantizedModel& model, const std::string& block);
  void set_factor(double factor, double query, double key);
  void first_rows(const IntegerKernels& kernels, const int32_t* raw, const int16_t* own, int64_t position,
                  const IntegerCache& cache, int32_t* queries, int32_t* keys) const;
  void keep(int64_t head, int64_t slot, const int16_t* key, const int16_t* value, IntegerCache& cache) const;
  void one_head(const IntegerKernels& kernels, const int16_t* query, const int16_t* own, int64_t head, int64_t seen,
                const IntegerCache& cache, int32_t* out) const;

  int64_t width_, heads_, p_, reach_;
  int64_t pairs_, key_room_, value_room_;  // p/2 rounded up; numbers of a head's keys and values in the cache
  bool white_, norm_, exclusive_, relay_;
  int value_shift_ = 0, key_shift_ = 0;  // Q16 to int16, to the right
  std::vector<Factor> factor_;           // one a head
  std::vector<int32_t> share_;           // the trace option's c, Q24, or none
  Metric metric_q_, metric_k_;           // of the metric option, or empty
  std::vector<int32_t> mix_;             // the shift option's c, Q14, or none
  std::vector<int32_t> direction_;       // the direction option's 1 + r and s, Q14, or none
  double stretch_ = 1;                   // the most by which they lengthen a key
};

}  // namespace crate
