// The kernels of every instruction set against the plain loops, one by one: numbers at the ends of their ranges, all
// equal, all zero, and rows that are no multiple of a vector.
#include "work/compress/integer_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <random>

#include "base/error.h"

namespace crate {
namespace {

constexpr int64_t most = (int64_t{1} << 30) - 1;

using Numbers = std::vector<int32_t>;
using Shorts = std::vector<int16_t>;

// Numbers within -top .. top (or 0 .. top), in several characters.
class Source {
 public:
  explicit Source(int kind) : kind_(kind) {}

  int64_t one(int64_t top, bool negative = true) {
    const int64_t any = std::uniform_int_distribution<int64_t>(negative ? -top : 0, top)(random_);
    const int64_t sign = negative && any % 2 != 0 ? -1 : 1;
    switch (kind_) {
      case 0:
        return 0;
      case 1:
        return top;
      case 2:
        return negative ? -top : top;
      case 3:
        return sign * top;
      case 4:
        return any;
      default:
        return any >> std::uniform_int_distribution<int>(0, 30)(random_);
    }
  }
  template <class T = int32_t> std::vector<T> row(int64_t n, int64_t top, bool negative = true) {
    std::vector<T> out;
    for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<T>(one(top, negative)));
    return out;
  }

 private:
  int kind_;
  std::mt19937_64 random_{7};
};
constexpr int kinds = 7;

const std::vector<int64_t> lengths{1, 2, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 65, 128, 257};

std::vector<const IntegerKernels*> sets_of_this_machine() {
  std::vector<const IntegerKernels*> sets;
  for (const char* name : {"avx2", "vnni"}) {
    try {
      sets.push_back(&integer_kernels(name));
    } catch (const Error&) {  // not here
    }
  }
  return sets;
}

// What `compute` gives of a source must not depend on the kernels.
template <class F> void compare(F&& compute) {
  for (int kind = 0; kind < kinds; ++kind)
    for (const int64_t n : lengths) {
      Source plain(kind);
      const auto wanted = compute(integer_baseline, plain, n);
      for (const IntegerKernels* set : sets_of_this_machine()) {
        Source source(kind);
        ASSERT_EQ(compute(*set, source, n), wanted) << set->name << ", kind " << kind << ", " << n << " numbers";
      }
    }
}

TEST(IntegerKernels, SumsAndWidths) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers x = s.row(n, most);
    const auto mean = static_cast<int32_t>(k.sum(x.data(), n) / n);
    std::vector<int64_t> out{k.sum(x.data(), n), k.widest(x.data(), n, 0), k.widest(x.data(), n, mean)};
    for (const int down : {11, 14, 31}) out.push_back(k.squares(x.data(), n, mean, down));
    return out;
  });
}

TEST(IntegerKernels, Normed) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers x = s.row(n, most), scale = s.row(n, most), shift = s.row(n, most);
    Numbers all;
    for (const int64_t reciprocal : {int64_t{1}, int64_t{1} << 20, most, int64_t{1} << 31, int64_t{1} << 40})
      for (const int down : {11, 13})
        for (const int after : {0, 1, 2, 3}) {
          Numbers y(x.size());
          k.normed(x.data(), n, x[0] / 2, down, reciprocal, after & 1 ? scale.data() : nullptr,
                   after & 2 ? shift.data() : nullptr, y.data());
          all.insert(all.end(), y.begin(), y.end());
        }
    return all;
  });
}

TEST(IntegerKernels, ToBytesAndShorts) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers x = s.row(n, most);
    Numbers all;
    for (const int64_t reciprocal : {int64_t{1} << 30, (int64_t{1} << 31) - 5, int64_t{1} << 31, int64_t{1} << 32})
      for (const int down : {1, 30, 45, 53, 62})
        for (const auto& [low, high, offset] : {std::array{-127, 127, 128}, {-127, 127, 0}, {0, 255, 0}}) {
          std::vector<uint8_t> to(x.size());
          k.to_bytes(x.data(), n, reciprocal, down, low, high, offset, to.data());
          all.insert(all.end(), to.begin(), to.end());
        }
    for (const int down : {0, 1, 5, 15, 30}) {
      Shorts to(x.size());
      k.to_shorts(x.data(), n, down, to.data());
      all.insert(all.end(), to.begin(), to.end());
    }
    return all;
  });
}

TEST(IntegerKernels, Rescale) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers sums = s.row(n, 1 << 26), ones = s.row(n, 1 << 19), scales = s.row(n, (1 << 20) - 1);
    Numbers all;
    for (const int32_t mantissa : {1 << 14, 1 << 15})
      for (const int down : {1, 20, 35, 62})
        for (const int32_t zero : {0, 128}) {
          Numbers y(sums.size());
          k.rescale(sums.data(), ones.data(), zero, scales.data(), mantissa, down, n, y.data());
          all.insert(all.end(), y.begin(), y.end());
        }
    return all;
  });
}

TEST(IntegerKernels, ProximalWeighMultiplyAndAdd) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers x = s.row(n, most), y = s.row(n, most), old = s.row(n, most, false), q15 = s.row(n, 1 << 15, false);
    Numbers all, z;
    const auto keep = [&] { all.insert(all.end(), z.begin(), z.end()); };
    for (const int64_t eta : {int64_t{0}, int64_t{1} << 22, int64_t{1} << 30, -(int64_t{1} << 30), int64_t{1} << 32}) {
      z = old;
      k.proximal(x.data(), y.data(), eta, n, z.data());
      keep();
    }
    z = x;
    k.weigh(q15.data(), n, z.data());
    keep();
    for (const int32_t factor : {1, 32767, INT32_MAX, INT32_MIN + 1})
      for (const int down : {1, 16, 40, 62}) {
        z = x;
        k.multiply(factor, down, n, z.data());
        keep();
      }
    for (const int kind : {0, 1, 2, 3, 4, 5, 6, 7}) {
      z = y;
      k.add(x.data(), kind & 1 ? old.data() : nullptr, kind & 2 ? q15.data() : nullptr, (kind & 4) != 0, n, z.data());
      keep();
    }
    return all;
  });
}

TEST(IntegerKernels, TurnAndExclude) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const Numbers x = s.row(4 * n, most), turns = s.row(4 * n, 1 << 23);
    Numbers all;
    for (const int64_t stride : {int64_t{0}, 2 * n}) {
      Numbers y = x;
      k.turn(turns.data(), stride, 2, n, y.data());
      all.insert(all.end(), y.begin(), y.end());
    }
    for (const int64_t top : {int64_t{3}, int64_t{32767}})
      for (const int down : {1, 8, 15, 30})
        for (const bool exclusive : {false, true}) {
          const Shorts own = s.row<int16_t>(n, top);
          Numbers out = x;
          out.resize(static_cast<std::size_t>(n));
          k.exclude(own.data(), n, exclusive, down, out.data());
          all.insert(all.end(), out.begin(), out.end());
        }
    return all;
  });
}

TEST(IntegerKernels, AttentionOfAHead) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const int64_t pairs = std::min<int64_t>(n, 32), blocks = (n + 15) / 16, p = 2 * pairs;
    const Shorts q = s.row<int16_t>(p, 2047), keys = s.row<int16_t>(blocks * 16 * p, 8191);
    const Shorts values = s.row<int16_t>((n + 1) / 2 * 2 * p, 32767);
    Numbers all;
    for (const int fraction : {1, 9, 15, 16, 17, 26}) {
      Numbers dots(static_cast<std::size_t>(16 * blocks)), sums(static_cast<std::size_t>(p));
      Shorts weights(static_cast<std::size_t>(n + 32));
      k.dots(q.data(), keys.data(), blocks, pairs, dots.data());
      all.insert(all.end(), dots.begin(), dots.begin() + n);
      all.push_back(k.softmax(dots.data(), n, fraction, weights.data()));
      weights[static_cast<std::size_t>(n)] = 0;
      all.insert(all.end(), weights.begin(), weights.begin() + n);
      k.mix(weights.data(), values.data(), (n + 1) / 2, p, sums.data());
      all.insert(all.end(), sums.begin(), sums.end());
    }
    return all;
  });
}

TEST(IntegerKernels, SoftmaxOfScoresFarApart) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    Numbers all;
    for (const int64_t top : {int64_t{1}, int64_t{1} << 16, int64_t{1} << 21, most})
      for (int fraction = 1; fraction <= 26; ++fraction) {
        Numbers dots = s.row(n, top);
        Shorts weights(static_cast<std::size_t>(n + 32));
        all.push_back(k.softmax(dots.data(), n, fraction, weights.data()));
        all.insert(all.end(), weights.begin(), weights.begin() + n);
      }
    return all;
  });
}

TEST(IntegerKernels, Products) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    const int64_t blocks = std::min<int64_t>(n, 7), groups = n, rows = std::min<int64_t>(n, 15);
    const auto packed = s.row<int8_t>(blocks * groups * 64, 127);
    const auto numbers = s.row<int8_t>(rows * groups * 4, 127);
    const auto code = s.row<uint8_t>(groups * 4, 255, false);
    std::vector<uint8_t> bytes;
    for (const int8_t x : numbers) bytes.push_back(static_cast<uint8_t>(x + k.zero));
    Numbers all(static_cast<std::size_t>(rows * blocks * 16)), some(static_cast<std::size_t>(blocks * 16)), listed;
    k.product(packed.data(), blocks, groups, bytes.data(), 4 * groups, rows, all.data(), 16 * blocks);
    for (int64_t i = 0; i < blocks * 16; ++i) {  // less what the zero counts
      int32_t sum = 0;
      for (int64_t at = 0; at < 4 * groups; ++at)
        sum += packed[static_cast<std::size_t>((i / 16 * groups + at / 4) * 64 + i % 16 * 4 + at % 4)];
      for (int64_t r = 0; r < rows; ++r) all[static_cast<std::size_t>(r * blocks * 16 + i)] -= k.zero * sum;
    }
    for (int64_t g = 0; g < groups; g += 3) listed.push_back(static_cast<int32_t>(g));
    k.sparse_product(packed.data(), blocks, groups, code.data(), listed.data(), static_cast<int64_t>(listed.size()),
                     some.data());
    all.insert(all.end(), some.begin(), some.end());
    return all;
  });
}

TEST(IntegerKernels, Chances) {
  compare([](const IntegerKernels& k, Source& s, int64_t n) {
    std::vector<uint32_t> weights(256);
    k.chances(s.row(256, std::min<int64_t>(most, int64_t{1} << n % 31)).data(), weights.data());
    return weights;
  });
}

}  // namespace
}  // namespace crate
