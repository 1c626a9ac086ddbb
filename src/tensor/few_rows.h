// few_rows: products of at most 8 rows with a weight, which decoding consists of. Reading the weight is the whole cost,
// so every number of it is read once, in the type that the device's products read, and not at all where it meets
// nothing but zeros:
//
//   y = x W'   W (n, k): each number of y is the dot of x with a row of W; all of W is read.
//   y = x W    W (k, n): y is a sum of rows of W ("atoms"), x their factors; rows that x names with zeros only are not
//              read. Exact, since 0 * w adds nothing: the price of a product that starts from a sparse code.
//
// Both read W by its rows, so one copy in bf16 or int8 serves both; f32 is read where it lies. In the terms of Products
// (device.h):
//   bf16: W and x rounded to bf16, summed in f32.
//   int8: a row of W is whole numbers in -127 .. 127 times a scale of its own. In x W' a row of x is whole numbers of
//   up
//         to 16 bits times a scale, chosen so that 32 bits hold every sum: the same bits on every machine. In x W the
//         factors stay f32.
// A row of y depends neither on the number of threads nor on the rows beside it.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "tensor/gemm_cpu.h"

namespace crate {

/// Copies of weights in bf16 and int8, kept until weights_changed(), and a count of what was read.
struct FewRowsPacks {
  struct Pack {
    uint64_t version = 0;
    std::optional<Scratch> rows, scales;
  };
  std::mutex mutex;
  std::map<std::tuple<const void*, int64_t, int64_t>, Pack> packs;
  std::atomic<int64_t> bytes_read = 0;
};

/// Is this one of the products meant here? Its device must not be exact.
bool has_few_rows(const Gemm& g, const GemmShape& s);

/// The whole of g. f32 tensors, shapes already checked, has_few_rows(g, s); `products` says in what W is read.
void gemm_few_rows(Device& device, FewRowsPacks& packs, const Gemm& g, const GemmShape& s, Products products);

}  // namespace crate
