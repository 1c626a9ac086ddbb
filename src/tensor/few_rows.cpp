// few_rows: packed copies, pieces for the threads, what follows the sums.
#include "tensor/few_rows.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/parallel.h"
#include "tensor/epilogue.h"
#include "tensor/few_rows_table.h"
#include "tensor/packed.h"
#include "tensor/round.h"
#include "tensor/vector.h"

namespace crate {

namespace few {

const Table& table_of(Isa isa) {
  require(isa <= cpu_isa(), "[few_rows] expected an instruction set of this machine, at most {}, came {}",
          name_of(cpu_isa()), name_of(isa));
#if defined(__x86_64__)
  if (isa == Isa::avx512) return table_avx512;
  if (isa == Isa::avx2) return table_avx2;
#endif
  return table_baseline;
}

}  // namespace few

namespace {

constexpr int64_t worth_a_thread = int64_t{32} << 10;  // bytes of a weight

template <class W> const few::Kernels<W>& kernels_of() {
  const few::Table& table = few::table_of(cpu_isa());
  if constexpr (std::is_same_v<W, float>)
    return table.f32;
  else if constexpr (std::is_same_v<W, Bf16>)
    return table.bf16;
  else
    return table.int8;
}

template <class W> struct Weight {
  const W* rows;
  const float* scales;  // one a row, of int8
};

// ---- packed copies ----

// The nearest bf16, as a float.
[[gnu::always_inline]] inline float through_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
}

CRATE_CLONES float largest_size(const float* x, int64_t n) {
  return n == 0 ? 0 : vec::largest(n, [x](int64_t j) { return x[j] < 0 ? -x[j] : x[j]; });
}

// x * inverse to the nearest whole number; adding 1.5 * 2^23 leaves it in the low bits.
CRATE_CLONES void to_shorts(const float* x, float inverse, int16_t* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i)
    to[i] = static_cast<int16_t>(std::bit_cast<int32_t>(x[i] * inverse + 12582912.0F) -
                                 std::bit_cast<int32_t>(12582912.0F));
}

void pack(const float* from, Bf16* to, float*, int64_t rows, int64_t cols) {
  parallel_for(rows * cols, 1 << 15, [=](int64_t lo, int64_t hi) { round_bf16(from + lo, &to[lo].bits, hi - lo); });
}

void pack(const float* from, int8_t* to, float* scales, int64_t rows, int64_t cols) {
  parallel_for(rows, std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, cols)),
               [=](int64_t lo, int64_t hi) { round_int8(from, to, scales, cols, lo, hi); });
}

template <class W> Weight<W> weight_of(Device& device, FewRowsPacks& packs, const Tensor& b) {
  if constexpr (std::is_same_v<W, float>) {
    return {b.as<float>(), nullptr};
  } else {
    const std::scoped_lock lock(packs.mutex);
    FewRowsPacks::Pack& kept = packs.packs[{b.data, b.rows(), b.cols()}];
    if (!kept.rows) {
      kept.rows.emplace(device.pool(), static_cast<std::size_t>(b.numel()) * sizeof(W));
      kept.scales.emplace(device.pool(), static_cast<std::size_t>(b.rows()) * sizeof(float));
    }
    if (kept.version != device.packed().version()) {
      pack(b.as<float>(), kept.rows->as<W>(), kept.scales->as<float>(), b.rows(), b.cols());
      kept.version = device.packed().version();
    }
    return {kept.rows->as<W>(), kept.scales->as<float>()};
  }
}

// ---- the rows of x ----

// As the dots read them: x = numbers times scale.
template <class W> struct Left {
  std::optional<Scratch> own;
  const typename few::Sums<W>::X* at = nullptr;
  std::array<float, few::most_rows> scale{};
};

Left<float> left_of(Device&, const Tensor& a, float) { return {{}, a.as<float>(), {}}; }

CRATE_CLONES void round_there(const float* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) to[i] = through_bf16(from[i]);
}

Left<Bf16> left_of(Device& device, const Tensor& a, Bf16) {
  Left<Bf16> x;
  x.own.emplace(device.pool(), a.bytes());
  round_there(a.as<float>(), x.own->as<float>(), a.numel());
  x.at = x.own->as<float>();
  return x;
}

// |sum| <= 127 * sum of |numbers| < 2^31, roundings of half a unit each included.
Left<int8_t> left_of(Device& device, const Tensor& a, int8_t) {
  const int64_t k = a.cols();
  Left<int8_t> x;
  x.own.emplace(device.pool(), static_cast<std::size_t>(a.numel()) * sizeof(int16_t));
  auto* to = x.own->as<int16_t>();
  for (int64_t i = 0; i < a.rows(); ++i) {
    const float* from = a.as<float>() + i * k;
    const float room = 0x1p31F / 128 - 0.5F * static_cast<float>(k);
    const float total = vec::sum(k, [from](int64_t j) { return from[j] < 0 ? -from[j] : from[j]; });
    const float scale = std::max(largest_size(from, k) / 32767, total / room);
    x.scale[static_cast<std::size_t>(i)] = scale;
    to_shorts(from, scale > 0 ? 1 / scale : 0, to + i * k, k);
  }
  x.at = to;
  return x;
}

// ---- what follows the sums ----

// Columns from, from + 1, ... of row i of c, from as many sums.
struct Finish {
  const Gemm& g;
  int64_t n;
  Epilogue whole;

  Finish(const Gemm& gemm, const GemmShape& s)
      : g(gemm),
        n(s.n),
        whole{.alpha = static_cast<float>(g.alpha),
              .bias = g.bias ? g.bias.as<float>() : nullptr,
              .plus = g.plus ? g.plus.as<float>() : nullptr,
              .relu = g.relu} {}

  void operator()(const float* sums, int64_t i, int64_t from, int64_t count, float row_scale = 1,
                  const float* scales = nullptr) const {
    float* c = g.c.as<float>() + i * n + from;
    Epilogue e = whole;
    if (e.bias) e.bias += from;
    if (e.plus) e.plus += i * n + from;
    if (g.add) {
      finish_row({.alpha = e.alpha * row_scale, .columns = scales, .plus = c}, sums, c, count);
      e.alpha = 1;
      return finish_row(e, c, c, count);
    }
    e.alpha *= row_scale;
    e.columns = scales;
    finish_row(e, sums, c, count);
  }
};

// ---- x W' ----

CRATE_CLONES void to_floats(const int32_t* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = static_cast<float>(from[j]);
}

template <class W>
void dots(const Finish& f, const GemmShape& s, const Weight<W>& w, const Left<W>& x, std::atomic<int64_t>& bytes_read) {
  const few::Kernels<W>& kernels = kernels_of<W>();
  const int64_t row_bytes = std::max<int64_t>(1, s.k * static_cast<int64_t>(sizeof(W)));
  parallel_for(s.n, std::max<int64_t>(1, worth_a_thread / row_bytes), [&](int64_t lo, int64_t hi) {
    typename few::Sums<W>::Sum sums[few::most_rows * few::most_sums];
    for (int64_t j = lo; j < hi; j += few::most_sums) {
      const int64_t count = std::min(few::most_sums, hi - j);
      kernels.dots(x.at, s.m, w.rows + j * s.k, count, s.k, sums);
      for (int64_t i = 0; i < s.m; ++i) {
        const auto* own = sums + i * few::most_sums;
        if constexpr (std::is_same_v<W, int8_t>) {
          float wide[few::most_sums];
          to_floats(own, wide, count);
          f(wide, i, j, count, x.scale[static_cast<std::size_t>(i)], w.scales + j);
        } else {
          f(own, i, j, count);
        }
      }
    }
  });
  bytes_read += s.n * row_bytes;
}

// ---- x W ----

// Factors that are not zero, of the atoms first, first + 1, ...
struct Named {
  static constexpr int64_t most = 1024;
  int32_t at[most];
  float factor[most];
  int64_t count = 0;

  template <class W> void take(const float* x, const float* scales, int64_t first, int64_t size) {
    count = few::table_of(cpu_isa()).name(x, size, static_cast<int32_t>(first), at, factor);
    for (int64_t t = 0; t < count; ++t) {
      if constexpr (std::is_same_v<W, Bf16>) factor[t] = through_bf16(factor[t]);
      if constexpr (std::is_same_v<W, int8_t>) factor[t] *= scales[at[t]];
    }
  }
};

int64_t named_by_any(const float* x, const GemmShape& s, int64_t lo, int64_t hi) {
  int64_t count = 0;
  for (int64_t t = lo; t < hi; ++t) {
    bool any = false;
    for (int64_t i = 0; i < s.m; ++i) any = any || x[i * s.k + t] != 0;
    count += any ? 1 : 0;
  }
  return count;
}

// The atoms lo .. hi into sums (m, n). Where several rows name an atom, all but the first find it in a cache.
template <class W>
int64_t add_atoms(const float* x, const GemmShape& s, const Weight<W>& w, int64_t lo, int64_t hi, float* sums) {
  constexpr int64_t cached = int64_t{256} << 10;
  const int64_t row_bytes = std::max<int64_t>(1, s.n * static_cast<int64_t>(sizeof(W)));
  const int64_t block = s.m == 1 ? Named::most : std::clamp<int64_t>(cached / row_bytes, 4, Named::most);
  Named named;
  int64_t read = 0;
  std::fill_n(sums, s.m * s.n, 0.0F);
  for (int64_t t = lo; t < hi; t += block) {
    const int64_t size = std::min(block, hi - t);
    for (int64_t i = 0; i < s.m; ++i) {
      named.take<W>(x + i * s.k + t, w.scales, t, size);
      kernels_of<W>().add_rows(named.at, named.factor, named.count, w.rows, s.n, sums + i * s.n);
    }
    read += s.m == 1 ? named.count : named_by_any(x, s, t, t + size);
  }
  return read * row_bytes;
}

CRATE_CLONES void add_sums(const float* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] += from[j];
}

// Atoms go in groups whose number depends on the size of W alone, each with sums of its own, added up in their order.
template <class W>
void atoms(Device& device, const Finish& f, const Gemm& g, const GemmShape& s, const Weight<W>& w,
           std::atomic<int64_t>& bytes_read) {
  constexpr int64_t most_groups = 16;
  const auto size = static_cast<uint64_t>(s.k * s.n * static_cast<int64_t>(sizeof(W)));
  const auto groups = static_cast<int64_t>(std::bit_floor(std::clamp<uint64_t>(size >> 19, 1, most_groups)));
  const Scratch own(device.pool(), static_cast<std::size_t>(groups * s.m * s.n) * sizeof(float));
  float* sums = own.as<float>();
  const float* x = g.a.as<float>();
  parallel_for(groups, 1, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i)
      bytes_read += add_atoms(x, s, w, i * s.k / groups, (i + 1) * s.k / groups, sums + i * s.m * s.n);
  });
  for (int64_t i = 1; i < groups; ++i) add_sums(sums + i * s.m * s.n, sums, s.m * s.n);
  for (int64_t i = 0; i < s.m; ++i) f(sums + i * s.n, i, 0, s.n);
}

template <class W> void product(Device& device, FewRowsPacks& packs, const Gemm& g, const GemmShape& s) {
  const Weight<W> w = weight_of<W>(device, packs, g.b);
  const Finish f(g, s);
  if (g.trans_b)
    dots<W>(f, s, w, left_of(device, g.a, W{}), packs.bytes_read);
  else
    atoms<W>(device, f, g, s, w, packs.bytes_read);
}

}  // namespace

bool has_few_rows(const Gemm& g, const GemmShape& s) { return g.b_is_weight && !g.trans_a && s.m <= few::most_rows; }

void gemm_few_rows(Device& device, FewRowsPacks& packs, const Gemm& g, const GemmShape& s, Products products) {
  switch (products) {
    case Products::f32:
      return product<float>(device, packs, g, s);
    case Products::bf16:
      return product<Bf16>(device, packs, g, s);
    case Products::int8:
      return product<int8_t>(device, packs, g, s);
  }
}

}  // namespace crate
