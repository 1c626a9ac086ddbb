#include "base/rng.h"

#include <cmath>
#include <numbers>

namespace crate {
namespace {

__extension__ using Wide = unsigned __int128;

// Multipliers and key increments of Philox4x32 (Salmon et al., table 2).
constexpr uint64_t mul_0 = 0xD2511F53, mul_1 = 0xCD9E8D57;
constexpr uint32_t key_step_0 = 0x9E3779B9, key_step_1 = 0xBB67AE85;

double unit(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace

std::array<uint32_t, 4> Rng::block(uint64_t major, uint64_t minor) const {
  std::array<uint32_t, 4> x = {static_cast<uint32_t>(minor), static_cast<uint32_t>(minor >> 32),
                               static_cast<uint32_t>(major), stream_};
  uint32_t key_0 = static_cast<uint32_t>(seed_), key_1 = static_cast<uint32_t>(seed_ >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = mul_0 * x[0], p1 = mul_1 * x[2];
    x = {static_cast<uint32_t>(p1 >> 32) ^ x[1] ^ key_0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ x[3] ^ key_1, static_cast<uint32_t>(p0)};
    key_0 += key_step_0;
    key_1 += key_step_1;
  }
  return x;
}

uint64_t Rng::bits(uint64_t major, uint64_t minor) const {
  const auto b = block(major, minor);
  return uint64_t{b[0]} << 32 | b[1];
}

double Rng::uniform(uint64_t major, uint64_t minor) const {
  const auto b = block(major, minor);
  return unit(b[0], b[1]);
}

double Rng::normal(uint64_t major, uint64_t minor) const {
  const auto b = block(major, minor);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit(b[0], b[1])));
  return radius * std::cos(2.0 * std::numbers::pi * unit(b[2], b[3]));
}

uint64_t Rng::below(uint64_t n, uint64_t major, uint64_t minor) const {
  return static_cast<uint64_t>(Wide{bits(major, minor)} * n >> 64);
}

}  // namespace crate
