// v1 walked the columns in blocks of registers and met every atom anew in each; v2 walks the atoms, four at a time, so
// that D is read in long runs and c stays in the first cache.
#include "ops/code_product.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t few_rows = 8;
constexpr double sparse_f32 = 0.6,
                 sparse_bf16 = 0.3;  // share of non-zeros up to which reading atoms is the less to read
constexpr int64_t column_grain = 256;

struct Atom {
  int64_t at;
  float weight;
};

std::vector<Atom> atoms_of(const float* code, int64_t m, float alpha) {
  std::vector<Atom> atoms;
  for (int64_t i = 0; i < m; ++i) {
    if (code[i] != 0) atoms.push_back({i, alpha * code[i]});
  }
  return atoms;
}

// y += sum of atoms, n numbers each, `stride` apart.
CRATE_CLONES void add_atoms(float* y, const float* dict, int64_t stride, const Atom* atoms, int64_t count, int64_t n) {
  int64_t k = 0;
  for (; k + 4 <= count; k += 4) {
    const float *a = dict + atoms[k].at * stride, *b = dict + atoms[k + 1].at * stride,
                *c = dict + atoms[k + 2].at * stride, *d = dict + atoms[k + 3].at * stride;
    const float wa = atoms[k].weight, wb = atoms[k + 1].weight, wc = atoms[k + 2].weight, wd = atoms[k + 3].weight;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) y[j] += (wa * a[j] + wb * b[j]) + (wc * c[j] + wd * d[j]);
  }
  for (; k < count; ++k) {
    const float* a = dict + atoms[k].at * stride;
    const float wa = atoms[k].weight;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) y[j] += wa * a[j];
  }
}

// Every column is summed in the order of the atoms, whatever the number of threads.
void sparse(const Gemm& g, const std::array<std::vector<Atom>, few_rows>& atoms) {
  const int64_t rows = g.a.rows(), n = g.b.cols();
  for (int64_t row = 0; row < rows; ++row) {
    float* y = g.c.as<float>() + row * n;
    const float* plus = g.plus ? g.plus.as<float>() + row * n : nullptr;
    const std::vector<Atom>& own = atoms[static_cast<std::size_t>(row)];
    parallel_for(n, column_grain, [&](int64_t lo, int64_t hi) {
      if (plus)
        std::copy(plus + lo, plus + hi, y + lo);
      else
        std::fill(y + lo, y + hi, 0.0F);
      add_atoms(y + lo, g.b.as<float>() + lo, n, own.data(), static_cast<int64_t>(own.size()), hi - lo);
    });
  }
}

}  // namespace

void code_product(Device& device, const Gemm& g) {
  const int64_t rows = g.a.rows(), m = g.a.cols();
  if (device.kind() != DeviceKind::cpu || rows > few_rows) return gemm(device, g);
  std::array<std::vector<Atom>, few_rows> atoms;
  int64_t count = 0;
  for (int64_t row = 0; row < rows; ++row) {
    auto& own = atoms[static_cast<std::size_t>(row)];
    own = atoms_of(g.a.as<float>() + row * m, m, static_cast<float>(g.alpha));
    count += static_cast<int64_t>(own.size());
  }
  const double limit = device.products() == Products::f32 ? sparse_f32 : sparse_bf16;
  if (static_cast<double>(count) > limit * static_cast<double>(m)) return gemm(device, g);
  sparse(g, atoms);
}

}  // namespace crate
