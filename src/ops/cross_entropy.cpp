// The cpu kernel takes the tokens in groups: within a group, chunks of rows go logits -> softmax -> d_h in a core's
// cache, one thread a chunk; then one large product adds the group to d_head. Groups and chunks follow from the shape
// alone, so the sums have one order.
#include "ops/cross_entropy.h"

#include "base/parallel.h"
#include "tensor/gemm.h"
#include "tensor/scratch_matrix.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t group_numbers = int64_t{1} << 22;  // logits of a group: 16 MiB, unless the vocabulary is large
constexpr int64_t chunk_numbers = int64_t{1} << 18;  // logits of a chunk: 1 MiB, likewise

int64_t rows_of(int64_t numbers, int64_t vocab, int64_t least, int64_t most) {
  return std::clamp(numbers / vocab, least, most);
}

// One row of logits becomes scale (softmax - [target]); gives the loss.
CRATE_CLONES float softmax_row(float* l, int64_t n, int64_t target, float scale) {
  const float top = vec::largest(n, [l](int64_t j) { return l[j]; });
  const float at_target = l[target] - top;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) l[j] = vec::exp(l[j] - top);
  const float sum = vec::sum(n, [l](int64_t j) { return l[j]; });
  const float factor = scale / sum;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) l[j] *= factor;
  l[target] -= scale;
  return std::log(sum) - at_target;
}

CRATE_CLONES float loss_of_row(const float* l, int64_t n, int64_t target) {
  const float top = vec::largest(n, [l](int64_t j) { return l[j]; });
  return std::log(vec::sum(n, [l, top](int64_t j) { return vec::exp(l[j] - top); })) - (l[target] - top);
}

void softmax_rows(const CrossEntropyCall& c, const Tensor& logits, int64_t first, bool gradient) {
  const int64_t vocab = logits.cols();
  const auto scale = static_cast<float>(c.weight / static_cast<double>(std::max<int64_t>(1, c.counted)));
  for (int64_t i = 0; i < logits.rows(); ++i) {
    const int32_t target = c.targets.as<int32_t>()[first + i];
    float* row = logits.as<float>() + i * vocab;
    float& loss = c.token_loss.as<float>()[first + i];
    loss = 0;
    if (target < 0)
      std::fill_n(row, vocab, 0.0F);
    else
      loss = gradient ? softmax_row(row, vocab, target, scale) : loss_of_row(row, vocab, target);
  }
}

void group_cpu(Device& device, const CrossEntropyCall& c, int64_t first, int64_t last, bool gradient) {
  const int64_t vocab = c.head.rows(), chunk_rows = rows_of(chunk_numbers, vocab, 64, 256);
  const ScratchMatrix kept(device, gradient ? last - first : 0, vocab);
  parallel_chunks(last - first, chunk_rows, [&](int64_t, int64_t lo, int64_t hi) {
    const ScratchMatrix own(device, gradient ? 0 : hi - lo, vocab);
    const Tensor logits = gradient ? kept->row_slice(lo, hi) : *own;
    gemm(device,
         {.a = c.h.row_slice(first + lo, first + hi), .b = c.head, .c = logits, .trans_b = true, .b_is_weight = true});
    softmax_rows(c, logits, first + lo, gradient);
    if (!c.d_h) return;
    const Tensor d_h = c.d_h.to.row_slice(first + lo, first + hi);
    gemm(device, {.a = logits, .b = c.head, .c = d_h, .add = c.d_h.add, .b_is_weight = true});
  });
  if (!c.d_head) return;
  gemm(device, {.a = *kept,
                .b = c.h.row_slice(first, last),
                .c = c.d_head.to,
                .trans_a = true,
                .add = c.d_head.add || first > 0});
}

void forward_cpu(Device& device, const CrossEntropyCall& c) {
  const int64_t rows = c.h.rows(), group = rows_of(group_numbers, c.head.rows(), 512, 16384);
  const bool gradient = c.d_h || c.d_head;
  for (int64_t first = 0; first < rows; first += group)
    group_cpu(device, c, first, std::min(rows, first + group), gradient);
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) sum += c.token_loss.as<float>()[i];
  *c.loss.as<float>() = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(1, c.counted)));
}

void forward_ref(Device&, const CrossEntropyCall& c) {
  visit_ref(c.h.dtype, [&](auto zero) { ref::cross_entropy<decltype(zero)>(c); });
}

constexpr Kernels<void(Device&, const CrossEntropyCall&)> forward{"cross_entropy", forward_ref, forward_cpu};

int64_t counted_targets(const Tensor& h, const CrossEntropyArgs& args) {
  const int64_t vocab = args.head.rows();
  require(args.head.cols() == h.cols(), "[cross_entropy] head must be (.., {}), came {}", h.cols(),
          args.head.shape.str());
  require(args.targets.numel() == h.rows(), "[cross_entropy] expected {} targets, came {}", h.rows(),
          args.targets.shape.str());
  int64_t counted = 0;
  for (int64_t i = 0; i < args.targets.numel(); ++i) {
    const int32_t target = args.targets.as<int32_t>()[i];
    require(-1 <= target && target < vocab, "[cross_entropy] target {} at place {} lies outside the vocabulary of {}",
            target, i, vocab);
    counted += target >= 0;
  }
  return counted;
}

// The gradients were computed for d_loss = 1.
void check_seed(const Run& run, const Tensor& loss) {
  const Tensor d_loss = run.grad_of(loss);
  double seed = 0;
  if (d_loss.dtype == Dtype::f32)
    seed = *d_loss.as<float>();
  else
    visit_ref(d_loss.dtype, [&](auto zero) { seed = re(*d_loss.as<decltype(zero)>()); });
  require(seed == 1, "[cross_entropy] the gradient of the loss must be 1, came {}; use weight for a factor", seed);
}

}  // namespace

CrossEntropy cross_entropy(Run& run, const Tensor& h, const CrossEntropyArgs& args) {
  const int64_t counted = counted_targets(h, args);
  const CrossEntropy out{run.make({1}), run.make(args.targets.shape)};
  CrossEntropyCall c{h, args.head, args.targets, out.loss, out.token_loss, counted, args.weight, {}, {}};
  if (run.recording()) {
    c.d_h = run.grad_to(h);
    c.d_head = run.grad_to(args.head);
  }
  forward.on(run.device().kind())(run.device(), c);
  const Cost cost = cross_entropy_cost(h.rows(), args.head.rows(), h.cols());
  const double passes = run.recording() ? 3 : 1;
  run.record("cross_entropy", out.loss, {passes * cost.flops, passes * cost.bytes}, {},
             [&run, loss = out.loss] { check_seed(run, loss); });
  return out;
}

Cost cross_entropy_cost(int64_t rows, int64_t vocab, int64_t d) {
  return {gemm_flops(rows, vocab, d), 4.0 * static_cast<double>(rows * d + vocab * d)};
}

}  // namespace crate
