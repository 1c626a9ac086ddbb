// row_sums: sums over the rows of a matrix in f32, kept per chunk of rows and added in the order of the chunks: the
// same bits for every number of threads.
#pragma once
#include "run/run.h"
#include "tensor/vector.h"

namespace crate {

class RowSums {
 public:
  RowSums(Device& device, int64_t rows, int64_t chunk_rows, int64_t n);
  /// The n sums of a chunk, zeroed: called once by the thread that owns the chunk.
  float* open(int64_t chunk) const;
  /// Adds the chunks up; afterwards total() is valid. Call once, when all chunks are done.
  void close() const;
  const float* total() const { return sums_.as<float>(); }
  /// to (+)= total()[first ...].
  void write(const GradTo& to, int64_t first = 0) const;

 private:
  int64_t chunks_, n_;
  Scratch sums_;
};

/// sums[j] += x[i, j] for `rows` rows of n numbers.
void add_rows(const float* x, int64_t rows, int64_t n, float* sums);
/// sums[j] += x[j] y[j] for n numbers.
void add_products(const float* x, const float* y, int64_t n, float* sums);

}  // namespace crate
