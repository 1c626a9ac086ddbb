// outer_sum on operands rounded to bf16 for x86-64 with AMX: an instruction multiplies a tile of 16 rows of a by 32
// bf16 with one of 32 by 16 columns of b, and adds to 16 x 16 sums. A tile of b is 16 pairs of rows of a panel as
// outer_sum_kernel.h packs it. Of a the same pairs are turned round, so that a tile's row holds the pairs of one
// column; the three tiles of a strip lie side by side, 1 KiB each. Three tiles of sums share a tile of b.
//
// Measured on a 2-core Emerald Rapids (AMX, neighbours felt: the fastest of 15, one thread, packing counted), bf16 that
// lies there, k = 8192, GFLOP/s; tiles alone do 2200 there, 16 cycles an instruction:
//   (m, n)            (1536, 384)  (384, 1536)  (384, 384)
//   outer_sum_bf16        82           82           83        vdpbf16ps has half the speed of f32 there
//   oneDNN 2.6           380          466          530        it turns a round first
//   chunk 512            479          492          618
//   chunk 1024           529          556          591        sums are read and written half as often; 2048 is slower
//   panels outside       427          548          598        (1024) whichever side is longer
// What limits: a strip is loaded again for every 16 columns, from the second-level cache; packing takes a quarter of
// the time of both (profile of a training step of crate-lm).
#if defined(__x86_64__)
#include "tensor/outer_sum_kernel.h"
#include "tensor/simd.h"

namespace crate {
namespace {

constexpr int64_t side = 16, deep = 32;  // of a tile: rows and columns of sums; rows of a and b in a step
constexpr int64_t strip = OuterKernels::strip, panel = OuterKernels::panel, tile = side * side, tiles = strip / side;
static_assert(tiles == 3 && lanes == side && simd::lanes == side);

// As ldtilecfg reads it: every tile has 16 rows of 64 bytes.
struct Tiles {
  uint8_t palette = 1, start_row = 0, unused[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
alignas(64) constexpr Tiles whole_tiles;

int64_t steps_of(int64_t rows) { return (rows + deep - 1) / deep; }

template <class T> void pack_strip(const void* matrix, int64_t n, int64_t lo, int64_t cols, int64_t rows, void* to) {
  const auto* from = static_cast<const T*>(matrix);
  auto* out = static_cast<float*>(to);
  for (int64_t first = 0; first < steps_of(rows) * deep; first += deep) {
    for (int64_t j = 0; j < strip; j += side, out += tile) {
      const int64_t left = cols - lo - j;
      const auto mask = static_cast<__mmask16>(left >= lanes ? 0xFFFF : left > 0 ? (1 << left) - 1 : 0);
      simd::Vec pairs[side];
      for (int64_t i = 0; i < side; ++i) {
        const int64_t t = first + 2 * i;
        pairs[i] = t < rows
                       ? reinterpret_cast<simd::Vec>(Bf16Step::load_rows(from + t * n + lo + j, n, t + 1 < rows, mask))
                       : simd::Vec{};
      }
      simd::transpose(pairs);
      for (int64_t i = 0; i < side; ++i) simd::store(out + i * side, pairs[i]);
    }
  }
}

template <class T> void pack_panel(const void* matrix, int64_t n, int64_t lo, int64_t cols, int64_t rows, void* to) {
  pack<Bf16Step, T, panel>(matrix, n, lo, cols, rows, to);
  const int64_t pairs = (rows + 1) / 2, whole = steps_of(rows) * side;
  std::memset(static_cast<float*>(to) + pairs * panel, 0, static_cast<std::size_t>((whole - pairs) * panel) * 4);
}

// to (48, 16) = the strip times 16 columns of the panel.
void block_of(const float* a, const float* b, int64_t steps, float* to) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  for (int64_t t = 0; t < steps; ++t, a += tiles * tile, b += side * panel) {
    _tile_loadd(6, b, panel * 4);
    _tile_loadd(3, a, side * 4);
    _tile_dpbf16ps(0, 3, 6);
    _tile_loadd(4, a + tile, side * 4);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(5, a + 2 * tile, side * 4);
    _tile_dpbf16ps(2, 5, 6);
  }
  _tile_stored(0, to, side * 4);
  _tile_stored(1, to + tile, side * 4);
  _tile_stored(2, to + 2 * tile, side * 4);
}

void multiply_tiles(const void* a, const void* b, int64_t depth, float* c, int64_t n, int64_t rows, int64_t cols,
                    float alpha, bool add) {
  alignas(64) float sums[strip * side];
  const __m512 factor = _mm512_set1_ps(alpha);
  _tile_loadconfig(&whole_tiles);
  for (int64_t j = 0; j < cols; j += side) {
    const auto mask = static_cast<__mmask16>(cols - j >= side ? 0xFFFF : (1 << (cols - j)) - 1);
    block_of(static_cast<const float*>(a), static_cast<const float*>(b) + j, steps_of(depth), sums);
    for (int64_t i = 0; i < rows; ++i) {
      float* to = c + i * n + j;
      const __m512 before = add ? _mm512_maskz_loadu_ps(mask, to) : __m512{};
      _mm512_mask_storeu_ps(to, mask, _mm512_fmadd_ps(_mm512_load_ps(sums + i * side), factor, before));
    }
  }
  _tile_release();
}

}  // namespace

const OuterKernels outer_amx_bf16{
    {pack_strip<float>, pack_panel<float>}, {pack_strip<uint16_t>, pack_panel<uint16_t>}, multiply_tiles, 2, 1024};

}  // namespace crate
#endif
