#include "base/parallel.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/error.h"

namespace crate {
namespace {

TEST(Parallel, EveryIndexOnce) {
  for (const int64_t n : {0, 1, 7, 1000, 100000}) {
    for (const int64_t grain : {1, 64, 5000}) {
      std::vector<int> seen(static_cast<std::size_t>(n));
      parallel_for(n, grain, [&](int64_t lo, int64_t hi) {
        for (int64_t i = lo; i < hi; ++i) ++seen[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), int64_t{0}), n);
    }
  }
}

TEST(Parallel, ChunksDoNotDependOnTheThreads) {
  const auto sums = [](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    std::vector<double> out(31);
    parallel_chunks(1000, 33, [&](int64_t chunk, int64_t lo, int64_t hi) {
      EXPECT_EQ(lo, chunk * 33);
      EXPECT_EQ(hi, std::min<int64_t>(1000, lo + 33));
      for (int64_t i = lo; i < hi; ++i) out[static_cast<std::size_t>(chunk)] += 1.0 / static_cast<double>(i + 1);
    });
    set_thread_count(before);
    return out;
  };
  EXPECT_EQ(sums(1), sums(2));
  EXPECT_EQ(sums(1), sums(5));
}

TEST(Parallel, ErrorsReachTheCaller) {
  const auto refuse = [](int64_t, int64_t hi) { require(hi < 90, "[test] refused"); };
  EXPECT_THROW(parallel_for(100, 1, refuse), Error);
  EXPECT_THROW(parallel_chunks(100, 7, [&](int64_t, int64_t lo, int64_t hi) { refuse(lo, hi); }), Error);
}

TEST(Parallel, LoopsInsideLoopsUseOneThread) {
  std::vector<int> threads(4);
  parallel_for(4, 1, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) threads[static_cast<std::size_t>(i)] = thread_count();
  });
  if (thread_count() > 1) {
    EXPECT_EQ(threads, std::vector<int>(4, 1));
  }
}

}  // namespace
}  // namespace crate
