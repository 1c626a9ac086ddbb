// exact: packs b into panels, cuts c among the threads, and walks the sum in slices that stay in a core's cache; a
// slice goes on where the one before it left c.
#include "tensor/exact.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/parallel.h"
#include "tensor/packed.h"

namespace crate {
namespace {

constexpr int64_t slice = 512;  // of the sum

// Where op(x)'s element (i, l) lies.
struct Strides {
  int64_t row, step;
};

// Rows l0 .. l1 of op(b) (k, n), columns j0 .. j1, as one panel; zeros beyond.
void pack_panel(const float* b, Strides at, int64_t l0, int64_t l1, int64_t j0, int64_t j1, int64_t panel, float* to) {
  for (int64_t l = l0; l < l1; ++l, to += panel) {
    const float* from = b + l * at.row + j0 * at.step;
    if (at.step == 1)
      std::copy_n(from, j1 - j0, to);
    else
      for (int64_t j = 0; j < j1 - j0; ++j) to[j] = from[j * at.step];
    std::fill(to + (j1 - j0), to + panel, 0.0F);
  }
}

struct Operands {
  const float *a, *b;
  Strides a_at, b_at;
  const float* panels = nullptr;  // all of b packed, panel after panel, or none
  float* c;
  bool add;
};

// Rows i0 .. i1 of c.
void product_rows(const ExactKernels& kernels, const Operands& o, const GemmShape& s, int64_t i0, int64_t i1,
                  int64_t j_first, int64_t j_last) {
  const int64_t panel = kernels.panel;
  std::vector<float> own(o.panels ? 0 : static_cast<std::size_t>(std::min(slice, s.k) * panel));
  for (int64_t l = 0; l < s.k; l += slice) {
    const int64_t l1 = std::min(s.k, l + slice);
    for (int64_t j = j_first; j < j_last; j += panel) {
      const int64_t j1 = std::min(s.n, j + panel);
      if (!o.panels) pack_panel(o.b, o.b_at, l, l1, j, j1, panel, own.data());
      const float* b = o.panels ? o.panels + j * s.k + l * panel : own.data();
      kernels.product(i1 - i0, j1 - j, l1 - l, o.a + i0 * o.a_at.row + l * o.a_at.step, o.a_at.row, o.a_at.step, b,
                      o.c + i0 * s.n + j, s.n, o.add || l > 0);
    }
  }
}

// Pieces of rows, or of panels where there are few rows.
void product(const ExactKernels& kernels, const Operands& o, const GemmShape& s) {
  const int64_t panels = (s.n + kernels.panel - 1) / kernels.panel, groups = (s.m + 5) / 6;
  const int64_t worth = s.m * s.n * s.k >> 18;  // a thread is woken for at least so much
  if (groups >= 8) {
    parallel_for(groups, std::max<int64_t>(1, groups / std::max<int64_t>(1, worth)),
                 [&](int64_t lo, int64_t hi) { product_rows(kernels, o, s, 6 * lo, std::min(s.m, 6 * hi), 0, s.n); });
    return;
  }
  parallel_for(panels, std::max<int64_t>(1, panels / std::max<int64_t>(1, worth)), [&](int64_t lo, int64_t hi) {
    product_rows(kernels, o, s, 0, s.m, lo * kernels.panel, std::min(s.n, hi * kernels.panel));
  });
}

const float* packed_weight(Device& device, ExactPacks& packs, const ExactKernels& kernels, const Gemm& g,
                           const GemmShape& s) {
  const std::scoped_lock lock(packs.mutex);
  ExactPacks::Pack& pack = packs.packs[{g.b.data, s.n, s.k}];
  if (pack.version == device.packed().version()) return pack.panels.data();
  const int64_t panel = kernels.panel, count = (s.n + panel - 1) / panel;
  pack.panels.resize(static_cast<std::size_t>(count * panel * s.k));
  for (int64_t j = 0; j < s.n; j += panel)
    pack_panel(g.b.as<float>(), {1, s.k}, 0, s.k, j, std::min(s.n, j + panel), panel, pack.panels.data() + j * s.k);
  pack.version = device.packed().version();
  return pack.panels.data();
}

}  // namespace

void gemm_exact(Device& device, ExactPacks& packs, const Gemm& g, const GemmShape& s) {
  const ExactKernels& kernels = exact_kernels();
  Operands o{g.a.as<float>(),
             g.b.as<float>(),
             g.trans_a ? Strides{1, s.m} : Strides{s.k, 1},
             g.trans_b ? Strides{1, s.k} : Strides{s.n, 1},
             nullptr,
             g.c.as<float>(),
             g.add};
  std::vector<float> scaled;
  if (g.add && g.alpha != 1) {
    for (int64_t i = 0; i < s.m * s.k; ++i) scaled.push_back(static_cast<float>(g.alpha) * o.a[i]);
    o.a = scaled.data();
  }
  if (g.b_is_weight && g.trans_b) o.panels = packed_weight(device, packs, kernels, g, s);
  product(kernels, o, s);
}

const ExactKernels& exact_kernels() {
#if defined(__x86_64__)
  const char* named = std::getenv("CRATE_ISA");
  const std::string_view wanted = named ? named : "";
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") != 0;
  if (avx512 && wanted != "avx2" && wanted != "baseline") return exact_avx512;
  if (avx2 && wanted != "baseline") return exact_avx2;
#endif
  fail("learning that comes out the same everywhere needs an x86-64 processor with AVX2 and FMA, which this is not");
}

}  // namespace crate
