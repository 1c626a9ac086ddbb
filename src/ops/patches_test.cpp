// Cases of patches.
#include "ops/patches.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> patches_cases() {
  std::vector<OpCase> cases;
  const auto cut = [](int64_t rows, int64_t columns, PatchOrder order) {
    return [=](Run& run, auto in) { return patches(run, in[0], {.rows = rows, .columns = columns, .order = order}); };
  };
  const PatchOrder last = PatchOrder::row_column_channel, first = PatchOrder::channel_row_column;
  cases.push_back(
      {.op = "patches", .name = "channels_last", .inputs = {{"x", {2, 3, 6, 8}}}, .build = cut(3, 2, last)});
  cases.push_back(
      {.op = "patches", .name = "channels_first", .inputs = {{"x", {2, 3, 6, 8}}}, .build = cut(3, 2, first)});
  cases.push_back({.op = "patches", .name = "one_patch", .inputs = {{"x", {1, 2, 5, 7}}}, .build = cut(5, 7, last)});
  cases.push_back({.op = "patches", .name = "one_pixel", .inputs = {{"x", {3, 1, 2, 3}}}, .build = cut(1, 1, first)});
  cases.push_back({.op = "patches",
                   .name = "bench_224",
                   .inputs = {{"x", {16, 3, 224, 224}}},
                   .build = cut(16, 16, last),
                   .bench_only = true});
  return cases;
}

}  // namespace crate
