#include "ops/embedding.h"

#include "base/parallel.h"
#include "ops/frozen.h"
#include "ops/rows.h"

namespace crate {
namespace {

void forward_ref(Device&, const EmbeddingCall& c) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::embedding<decltype(zero)>(c); });
}

void forward_cpu(Device&, const EmbeddingCall& c) {
  const int64_t n = c.tokens.cols(), d = c.y.cols();
  const int32_t* tokens = c.tokens.as<int32_t>();
  const float *table = c.table.as<float>(), *positions = ref::maybe<float>(c.positions);
  float* y = c.y.as<float>();
  parallel_for(c.y.rows(), 64, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const float* row = table + tokens[i] * d;
      if (positions)
        add_row(row, positions + (c.first_position + i % n) * d, y + i * d, d);
      else
        std::copy_n(row, d, y + i * d);
    }
  });
}

void backward_ref(Device&, const EmbeddingCall& c, const EmbeddingGrad& to) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::embedding_backward<decltype(zero)>(c, to); });
}

// Threads share the columns, not the rows: each sum has one owner, who adds in the order of the rows.
void backward_cpu(Device&, const EmbeddingCall& c, const EmbeddingGrad& to) {
  const int64_t n = c.tokens.cols(), d = c.y.cols(), rows = c.y.rows();
  const int32_t* tokens = c.tokens.as<int32_t>();
  const float* d_y = to.d_y.as<float>();
  float *d_table = ref::opened<float>(to.d_table), *d_positions = ref::opened<float>(to.d_positions);
  parallel_for(d, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = 0; i < rows; ++i) {
      const float* from = d_y + i * d + lo;
      if (d_table) grow(d_table + tokens[i] * d + lo, from, hi - lo);
      if (d_positions) grow(d_positions + (c.first_position + i % n) * d + lo, from, hi - lo);
    }
  });
}

constexpr Kernels<void(Device&, const EmbeddingCall&)> forward{"embedding", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const EmbeddingCall&, const EmbeddingGrad&)> backward{"embedding backward",
                                                                                      backward_ref, backward_cpu};

// d_y . (the row of `table` that each place took), one number a place.
template <class Row> std::vector<double> taken_dots(const Tensor& d_y, const Tensor& table, Row row_of) {
  std::vector<double> rows;
  for (int64_t i = 0; i < d_y.rows(); ++i) {
    const int64_t row = row_of(i);
    rows.push_back(frozen::row_dots(d_y.row_slice(i, i + 1), table.row_slice(row, row + 1))[0]);
  }
  return rows;
}

void walk_frozen(Run& run, const EmbeddingCall& c) {
  const Tensor d_y = run.grad_of(c.y);
  const int32_t* tokens = c.tokens.as<int32_t>();
  run.leave_constant(c.table, "tokens", taken_dots(d_y, c.table, [tokens](int64_t i) { return tokens[i]; }));
  if (!c.positions) return;
  const auto position_of = [&c](int64_t i) { return c.first_position + i % c.tokens.cols(); };
  run.leave_constant(c.positions, "positions", taken_dots(d_y, c.positions, position_of));
}

void check(const Tensor& tokens, const EmbeddingArgs& args) {
  const int64_t vocab = args.table.rows(), d = args.table.cols();
  require(tokens.shape.rank() == 2, "[embedding] tokens must be (b, n), came {}", tokens.shape.str());
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    const int32_t token = tokens.as<int32_t>()[i];
    require(0 <= token && token < vocab, "[embedding] token {} at place {} lies outside the vocabulary of {}", token, i,
            vocab);
  }
  if (!args.positions) return;
  require(args.positions.cols() == d, "[embedding] positions must be (.., {}), came {}", d, args.positions.shape.str());
  require(args.first_position >= 0 && args.first_position + tokens.cols() <= args.positions.rows(),
          "[embedding] positions {}..{} exceed the context of {}; use a shorter sequence", args.first_position,
          args.first_position + tokens.cols(), args.positions.rows());
}

}  // namespace

Tensor embedding(Run& run, const Tensor& tokens, const EmbeddingArgs& args) {
  check(tokens, args);
  const int64_t d = args.table.cols();
  const Tensor y = run.make({tokens.shape[0], tokens.shape[1], d});
  const EmbeddingCall call{tokens, args.table, args.positions, y, args.first_position};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = embedding_cost(y.rows(), d, static_cast<bool>(args.positions));
  if (run.frozen()) {
    run.record_frozen("embedding", y, cost, [&run, call] { walk_frozen(run, call); });
    return y;
  }
  run.record("embedding", y, cost, cost, [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    const GradTo d_positions = call.positions ? run.grad_to(call.positions) : GradTo{};
    backward.on(kind)(run.device(), call, {d_y, run.grad_to(call.table), d_positions});
  });
  return y;
}

Cost embedding_cost(int64_t rows, int64_t d, bool positions) {
  const auto numbers = static_cast<double>(rows * d);
  return {positions ? numbers : 0, (positions ? 12 : 8) * numbers};
}

}  // namespace crate
