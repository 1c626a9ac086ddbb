#include "work/eval/knn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/gemm.h"
#include "tensor/scratch_matrix.h"

namespace crate {
namespace {

constexpr int64_t rows_at_once = 128;

struct Votes {
  std::vector<int32_t> nearest;
  std::vector<double> of_class;
};

// Where the right class stands among the votes of the nearest; equal votes in the order of the classes.
int64_t rank_of(const float* similarity, const Features& train, int32_t label, const KnnOptions& options, Votes& v) {
  std::iota(v.nearest.begin(), v.nearest.end(), 0);
  const auto end = v.nearest.begin() + static_cast<std::ptrdiff_t>(options.neighbours);
  std::partial_sort(v.nearest.begin(), end, v.nearest.end(), [similarity](int32_t a, int32_t b) {
    return similarity[a] > similarity[b] || (similarity[a] == similarity[b] && a < b);
  });
  std::fill(v.of_class.begin(), v.of_class.end(), 0.0);
  for (auto it = v.nearest.begin(); it != end; ++it)
    v.of_class[static_cast<std::size_t>(train.labels[static_cast<std::size_t>(*it)])] +=
        std::exp(double{similarity[*it]} / options.temperature);
  int64_t rank = 0;
  const double right = v.of_class[static_cast<std::size_t>(label)];
  for (std::size_t c = 0; c < v.of_class.size(); ++c)
    rank += v.of_class[c] > right || (v.of_class[c] == right && c < static_cast<std::size_t>(label)) ? 1 : 0;
  return right > 0 ? rank : train.classes;
}

}  // namespace

Accuracy knn(Device& device, Features train, Features val, const KnnOptions& options) {
  require(options.neighbours > 0 && options.neighbours <= train.images,
          "{} neighbours asked of {} training images; give fewer with --knn", options.neighbours, train.images);
  require(train.classes == val.classes, "the training images have {} classes, those to evaluate {}", train.classes,
          val.classes);
  scale_to_unit(train);
  scale_to_unit(val);
  // Similarities in f32 on any device: they only order neighbours.
  Device cpu({.kind = DeviceKind::cpu, .products = device.products()});
  const Tensor all{train.values.data(), {train.images, train.width}, Dtype::f32};
  const ScratchMatrix similarity(cpu, rows_at_once, train.images);
  std::vector<int64_t> ranks(static_cast<std::size_t>(val.images));
  for (int64_t from = 0; from < val.images; from += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, val.images - from);
    const Tensor some{val.values.data() + from * val.width, {rows, val.width}, Dtype::f32};
    gemm(cpu, {.a = some, .b = all, .c = (*similarity).row_slice(0, rows), .trans_b = true});
    parallel_for(rows, 1, [&](int64_t lo, int64_t hi) {
      Votes votes{std::vector<int32_t>(static_cast<std::size_t>(train.images)),
                  std::vector<double>(static_cast<std::size_t>(train.classes))};
      for (int64_t i = lo; i < hi; ++i)
        ranks[static_cast<std::size_t>(from + i)] =
            rank_of(similarity->as<float>() + i * train.images, train, val.labels[static_cast<std::size_t>(from + i)],
                    options, votes);
    });
  }
  Accuracy out{0, 0, val.images};
  for (const int64_t rank : ranks) {
    out.top1 += rank < 1 ? 1 : 0;
    out.top5 += rank < 5 ? 1 : 0;
  }
  out.top1 /= static_cast<double>(val.images);
  out.top5 /= static_cast<double>(val.images);
  return out;
}

}  // namespace crate
