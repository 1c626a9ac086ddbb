// packed_state: what PackedWeights holds, for the files that compute with it; the only header that names oneDNN.
#pragma once
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "tensor/device.h"
#include "tensor/exact.h"
#include "tensor/few_rows.h"
#include "tensor/packed.h"

namespace crate {

/// Everything a compiled product depends on.
struct KernelKey {
  int64_t m, n, k;
  bool trans_a, trans_b, add;
  Products products;
  bool packed, alone;
  auto operator<=>(const KernelKey&) const = default;
};

struct CompiledKernel {
  dnnl::matmul::primitive_desc about;
  dnnl::matmul run;
};

/// A weight in the layout of one kernel, as of `version`.
struct WeightPack {
  uint64_t version = 0;
  dnnl::memory values;
  std::vector<float> scales;  // int8: of the columns of op(b)
};

/// Its address, and the kernel's shape without its rows: n, k, transposed, products, few rows.
using PackKey = std::tuple<const void*, int64_t, int64_t, bool, Products, bool>;

struct PackedWeights::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  std::map<KernelKey, CompiledKernel> kernels;
  std::map<PackKey, WeightPack> packs;
  ExactPacks exact;
  FewRowsPacks few_rows;
};

}  // namespace crate
