#include "tensor/outer_sum.h"

#include "base/parallel.h"
#include "tensor/isa.h"
#include "tensor/wide.h"

namespace crate {
const OuterKernels* outer_kernels([[maybe_unused]] Products products) {
#if defined(__x86_64__)
  if (cpu_isa() != Isa::avx512) return nullptr;
  if (products == Products::f32) return &outer_avx512;
  if (products == Products::bf16 && has_tiles()) return &outer_amx_bf16;
  if (products == Products::bf16 && __builtin_cpu_supports("avx512bf16") != 0) return &outer_avx512_bf16;
#endif
  return nullptr;
}

void outer_sum(Device& device, const OuterKernels& kernels, const Gemm& g, const GemmShape& s) {
  constexpr int64_t strip = OuterKernels::strip, panel = OuterKernels::panel;
  const int64_t strips = (s.m + strip - 1) / strip, panels = (s.n + panel - 1) / panel;
  const int64_t strip_bytes = strip * kernels.chunk * kernels.bytes,
                panel_bytes = panel * kernels.chunk * kernels.bytes;
  const Scratch packed_a(device.pool(), static_cast<std::size_t>(strips * strip_bytes));
  const Scratch packed_b(device.pool(), static_cast<std::size_t>(panels * panel_bytes));
  char *const a = packed_a.as<char>(), *const b = packed_b.as<char>();
  const auto packing = [&kernels](const Tensor& t) { return is_narrow(t) ? kernels.bf16 : kernels.f32; };
  const OuterKernels::From pack_a = packing(g.a), pack_b = packing(g.b);
  float* c = g.c.as<float>();
  for (int64_t row = 0; row < s.k; row += kernels.chunk) {
    const int64_t rows = std::min(kernels.chunk, s.k - row);
    const Tensor from_a = g.a.row_slice(row, row + rows), from_b = g.b.row_slice(row, row + rows);
    parallel_for(strips + panels, 1, [&](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < std::min(hi, strips); ++i)
        pack_a.strip(from_a.data, s.m, i * strip, s.m, rows, a + i * strip_bytes);
      for (int64_t j = std::max(lo, strips) - strips; j < hi - strips; ++j)
        pack_b.panel(from_b.data, s.n, j * panel, s.n, rows, b + j * panel_bytes);
    });
    parallel_for(strips, 1, [&](int64_t lo, int64_t hi) {
      // The longer side is walked once, beside the shorter one, which so stays in the cache.
      const bool strips_outside = (hi - lo) * strip > panels * panel;
      const int64_t inside = strips_outside ? panels : hi - lo;
      for (int64_t t = 0; t < (hi - lo) * panels; ++t) {
        const int64_t outer = t / inside, inner = t % inside;
        const int64_t i = lo + (strips_outside ? outer : inner), j = strips_outside ? inner : outer;
        kernels.multiply(a + i * strip_bytes, b + j * panel_bytes, rows, c + i * strip * s.n + j * panel, s.n,
                         std::min(strip, s.m - i * strip), std::min(panel, s.n - j * panel),
                         static_cast<float>(g.alpha), g.add || row > 0);
      }
    });
  }
}

}  // namespace crate
