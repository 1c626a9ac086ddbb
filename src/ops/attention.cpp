#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "base/parallel.h"
#include "ops/head.h"
#include "ops/linear.h"
#include "tensor/round.h"
#include "tensor/wide.h"

namespace crate {
namespace {

/// A call with its sizes and the tensors it made. Keys and values are read from `keys`: the source, or the cache.
struct Made {
  AttentionCall call;
  bool frozen;
  int64_t batch, n_q, n_k, d, p;
  Tensor keys;
  int64_t key_rows;            // of a sequence in `keys`
  int64_t k_column, v_column;  // there
  Tensor out;                  // (b, n_q, d)
  Tensor lse;                  // (b, k, n_q)
  Tensor along;                // the same, when exclusive
  Tensor factors;              // (d), 1 + r and s of the direction, when there is one
  Tensor turns;                // (n_k, p), when rotary
  Tensor held;                 // the source for scores and exclusion, when frozen and complex: it takes no derivative
};

/// The head whose columns hold this head's values.
int64_t value_head(const Made& m, int64_t head) { return m.call.relay ? (head + 1) % m.call.heads : head; }

bool keeps_keys(const Made& m) { return m.call.cache != nullptr && m.call.cache->keys; }

/// Those of one head, one after the other: strided rows of few numbers are slow to read.
template <class T> T* kept_keys(const Made& m, int64_t sequence, int64_t head) {
  return m.call.cache->keys.as<T>() + (sequence * m.call.heads + head) * m.key_rows * m.p;
}

/// A head's columns of n rows of t.
struct Piece {
  int64_t first_row, n, column;
};

uint16_t* narrow_rows(const Tensor& t, const Piece& at) {
  return static_cast<uint16_t*>(t.data) + at.first_row * t.cols() + at.column;
}

/// Where the head's rows of t lie; of bf16, a copy in f32, which `scratch` moves past.
template <class T> HeadRows<T> rows_of(const Made& m, const Tensor& t, const Piece& at, T*& scratch) {
  if constexpr (std::is_same_v<T, float>) {
    if (is_narrow(t)) {
      float* const copy = scratch;
      scratch += at.n * m.p;
      widen_bf16_rows(narrow_rows(t, at), t.cols(), copy, at.n, m.p);
      return {copy, m.p};
    }
  }
  return {t.as<T>() + at.first_row * t.cols() + at.column, t.cols()};
}

/// f(o) with the place for the head's rows of the result.
template <class T, class F> void write_rows(const Made& m, int64_t sequence, int64_t head, T* scratch, F&& f) {
  const Piece at{sequence * m.n_q, m.n_q, head * m.p};
  if constexpr (std::is_same_v<T, float>) {
    if (is_narrow(m.out)) {
      f(HeadOut<T>{scratch, m.p}, scratch + at.n * m.p);
      round_bf16_rows(scratch, narrow_rows(m.out, at), m.out.cols(), at.n, m.p);
      return;
    }
  }
  f(HeadOut<T>{m.out.as<T>() + at.first_row * m.d + at.column, m.d}, scratch);
}

/// Numbers of scratch for copies: queries, their own values, keys, values, result.
std::size_t copies(const Made& m) {
  return is_narrow(m.call.source) || is_narrow(m.out) ? static_cast<std::size_t>((3 * m.n_q + 2 * m.n_k) * m.p) : 0;
}

template <class T> HeadInputs<T> inputs_of(const Made& m, int64_t sequence, int64_t head, T*& scratch) {
  const AttentionCall& call = m.call;
  HeadInputs<T> x;
  x.shape = {m.n_q, m.n_k, m.p, 1.0 / std::sqrt(static_cast<double>(m.p)), call.causal, m.n_k - m.n_q};
  const int64_t first = sequence * m.key_rows, first_q = sequence * m.n_q;
  const int64_t column = head * m.p, v_column = value_head(m, head) * m.p;
  const Tensor &scored = m.held ? m.held : m.keys, &asked = m.held ? m.held : call.source;
  // One copy is one tensor to the kernels.
  const bool narrow = is_narrow(call.source);
  const bool q_is_k = narrow && call.q_column == call.k_column && m.n_q == m.n_k;
  const bool v_is_k = narrow && m.v_column == m.k_column && column == v_column;
  x.k = rows_of(m, scored, {first, m.n_k, m.k_column + column}, scratch);
  x.v = v_is_k ? x.k : rows_of(m, m.keys, {first, m.n_k, m.v_column + v_column}, scratch);
  x.q = q_is_k ? x.k : rows_of(m, asked, {first_q, m.n_q, call.q_column + column}, scratch);
  if (keeps_keys(m)) x.made = {kept_keys<T>(m, sequence, head), m.p};
  x.exclusive = call.exclusive;
  if (x.exclusive && column == v_column) x.own = x.q;
  if (x.exclusive && column != v_column) x.own = rows_of(m, asked, {first_q, m.n_q, call.v_column + v_column}, scratch);
  x.norm = static_cast<bool>(call.temperature);
  x.norm_eps = call.norm_eps;
  if (x.norm) x.temperature = call.temperature.as<T>()[head];
  if (call.shift) x.shift = call.shift.as<T>() + head * m.p;
  if (call.metric_q) x.metric_q = call.metric_q.as<T>() + column * m.p;
  if (call.metric_k) x.metric_k = call.metric_k.as<T>() + column * m.p;
  if (m.factors) x.direction = m.factors.as<T>() + head * m.p;
  if (m.turns) x.turns = m.turns.as<T>();
  return x;
}

template <class T> HeadKept<T> kept_of(const Made& m, int64_t task) {
  return {m.lse.as<T>() + task * m.n_q, m.along ? m.along.as<T>() + task * m.n_q : nullptr};
}

/// f(task, sequence, head, scratch) for every head of every sequence, in parallel where that pays.
template <class T, class F> void for_heads(Run& run, const Made& m, F&& f) {
  // In multiply-adds. Waking a thread costs about as much as 2^18 of them, which of a query or two take longer: they
  // are products with vectors.
  const double worth_threads = m.n_q <= 2 ? 1 << 18 : 1 << 20;
  const int64_t heads = m.call.heads;
  const int64_t tasks = m.batch * heads;
  const double work = static_cast<double>(tasks * m.n_q) * static_cast<double>(m.n_k * m.p);
  const int64_t size = work < worth_threads ? tasks : 1;
  const AttendShape shape{.n_q = m.n_q, .n_k = m.n_k, .p = m.p, .causal = m.call.causal};
  const std::size_t bytes = (copies(m) + head_scratch(shape)) * sizeof(T);
  parallel_chunks(tasks, size, [&](int64_t, int64_t lo, int64_t hi) {
    const Scratch scratch = run.scratch(bytes);
    for (int64_t task = lo; task < hi; ++task) f(task, task / heads, task % heads, scratch.as<T>());
  });
}

/// Offers the pattern to the tap; o is computed from it again when the tap may have changed it.
template <class T> void show_pattern(Run& run, const Made& m) {
  const Scratch block = run.scratch(static_cast<std::size_t>(m.batch * m.call.heads * m.n_q * m.n_k) * sizeof(T));
  const Tensor pattern{block.as<void>(), {m.batch, m.call.heads, m.n_q, m.n_k}, run.real()};
  const auto of_task = [&](int64_t task) { return pattern.as<T>() + task * m.n_q * m.n_k; };
  const AttendKernels<T>& kernels = kernels_for<T>(run.device());
  for_heads<T>(run, m, [&](int64_t task, int64_t sequence, int64_t head, T* scratch) {
    const HeadInputs<T> x = inputs_of(m, sequence, head, scratch);
    head_pattern(kernels, x, kept_of<T>(m, task), of_task(task), scratch);
  });
  run.see(m.call.site, "pattern", pattern);
  if (!run.options().tap->edits(m.call.site.at("pattern"))) return;
  for_heads<T>(run, m, [&](int64_t task, int64_t sequence, int64_t head, T* scratch) {
    const HeadInputs<T> x = inputs_of(m, sequence, head, scratch);
    write_rows(m, sequence, head, scratch,
               [&](HeadOut<T> o, T*) { head_from_pattern<T>(kernels, x, of_task(task), o, kept_of<T>(m, task)); });
  });
}

template <class T> void make_factors(const Made& m) {
  const T* from = m.call.direction.as<T>();
  for (int64_t c = 0; c < m.d; ++c) m.factors.as<T>()[c] = from[c] + T(c % m.p < m.p / 2 ? 1 : 0);
}

/// Those of the call's own tokens.
template <class T>
void keep_keys(const Made& m, const AttendKernels<T>& kernels, const HeadInputs<T>& x, int64_t sequence, int64_t head,
               T* scratch) {
  head_keys<T>(kernels, x, {kept_keys<T>(m, sequence, head) + (m.n_k - m.n_q) * m.p, m.p}, scratch);
}

template <class T> void compute(Run& run, const Made& m) {
  if (m.factors) make_factors<T>(m);
  if (m.turns) rotary_turns(keeps_keys(m) ? m.n_k - m.n_q : 0, m.n_k, m.p, m.call.rotary_base, m.turns.as<T>());
  const AttendKernels<T>& kernels = kernels_for<T>(run.device());
  for_heads<T>(run, m, [&](int64_t task, int64_t sequence, int64_t head, T* scratch) {
    const HeadInputs<T> x = inputs_of(m, sequence, head, scratch);
    if (keeps_keys(m)) keep_keys(m, kernels, x, sequence, head, scratch);
    write_rows(m, sequence, head, scratch,
               [&](HeadOut<T> o, T* rest) { head_forward<T>(kernels, x, o, kept_of<T>(m, task), rest); });
  });
  if (run.wants(m.call.site, "pattern")) show_pattern<T>(run, m);
}

/// Adds the gradients of the values, each head's in its own columns of (b, n, d), where the values came from.
template <class T> void hand_on(const Made& m, const T* d_values, const Tensor& d_source) {
  const int64_t width = d_source.cols();
  parallel_for(m.batch * m.n_k, 64, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      for (int64_t head = 0; head < m.call.heads; ++head) {
        const T* from = d_values + i * m.d + head * m.p;
        T* to = d_source.as<T>() + i * width + m.v_column + value_head(m, head) * m.p;
        for (int64_t c = 0; c < m.p; ++c) to[c] += from[c];
      }
    }
  });
}

template <class T> void walk_back(Run& run, const Made& m) {
  const AttentionCall& call = m.call;
  const Tensor d_out = run.grad_of(m.out);
  const int64_t width = call.source.cols();
  const Scratch unwanted = run.scratch(call.source.id < 0 ? call.source.bytes() : 1);
  GradTo d_source = run.grad_to(call.source);
  if (!d_source) d_source = {{unwanted.as<void>(), call.source.shape, run.real()}, false};
  const Scratch d_shift = run.scratch(static_cast<std::size_t>(m.batch * m.d) * sizeof(T));
  const auto metric_bytes = static_cast<std::size_t>(m.batch * m.d * m.p) * sizeof(T);
  const Scratch d_metric_q = run.scratch(call.metric_q ? metric_bytes : 0);
  const Scratch d_metric_k = run.scratch(call.metric_k ? metric_bytes : 0);
  const Scratch d_values = run.scratch(static_cast<std::size_t>(call.relay ? m.batch * m.n_k * m.d : 0) * sizeof(T));
  if (call.relay) std::fill_n(d_values.as<T>(), m.batch * m.n_k * m.d, T{});
  const Scratch d_direction = run.scratch(static_cast<std::size_t>(m.batch * m.d) * sizeof(T));
  const Scratch d_temperature = run.scratch(static_cast<std::size_t>(m.batch * call.heads) * sizeof(T));
  const AttendKernels<T>& kernels = kernels_for<T>(run.device());
  for_heads<T>(run, m, [&](int64_t task, int64_t sequence, int64_t head, T* scratch) {
    const int64_t at = sequence * m.n_q * m.d + head * m.p;
    const int64_t metric = (sequence * m.d + head * m.p) * m.p;
    T* to = d_source.to.as<T>() + sequence * m.n_q * width + head * m.p;
    const HeadGrads<T> grads{
        .d_q = {to + call.q_column, width},
        .d_k = {to + call.k_column, width},
        .d_v = call.relay ? HeadOut<T>{d_values.as<T>() + at, m.d} : HeadOut<T>{to + call.v_column, width},
        .add = d_source.add,
        .d_shift = d_shift.as<T>() + sequence * m.d + head * m.p,
        .d_metric_q = d_metric_q.as<T>() + metric,
        .d_metric_k = d_metric_k.as<T>() + metric,
        .d_direction = d_direction.as<T>() + sequence * m.d + head * m.p,
        .d_temperature = d_temperature.as<T>() + task};
    const HeadInputs<T> x = inputs_of(m, sequence, head, scratch);
    const HeadRows<T> o = rows_of(m, m.out, {sequence * m.n_q, m.n_q, head * m.p}, scratch);
    head_backward<T>(kernels, x, o, {d_out.as<T>() + at, m.d}, kept_of<T>(m, task), grads, scratch);
  });
  if (call.relay) hand_on<T>(m, d_values.as<T>(), d_source.to);
  const auto sum_batch = [&](const Tensor& parameter, const Scratch& parts) {
    if (!parameter) return;
    if (const GradTo to = run.grad_to(parameter))
      sum_rows(run.device(), to, {parts.as<void>(), {m.batch, parameter.numel()}, run.real()});
  };
  sum_batch(call.shift, d_shift);
  sum_batch(call.metric_q, d_metric_q);
  sum_batch(call.metric_k, d_metric_k);
  sum_batch(call.direction, d_direction);
  sum_batch(call.temperature, d_temperature);
}

/// The pattern held: only the values carry a gradient. d_v = P' d_y, where y is o before the exclusion.
template <class T> void walk_frozen(Run& run, const Made& m) {
  const AttentionCall& call = m.call;
  const GradTo d_source = run.grad_to(call.source);
  if (!d_source) return;
  const int64_t width = call.source.cols(), first = m.v_column;
  T* to = d_source.to.as<T>();
  if (!d_source.add && width > m.d) std::fill_n(to, d_source.to.numel(), T{});
  const bool add = d_source.add || width > m.d;
  const T* d_out = run.grad_of(m.out).as<T>();
  const AttendKernels<T>& kernels = kernels_for<T>(run.device());
  for_heads<T>(run, m, [&](int64_t task, int64_t sequence, int64_t head, T* scratch) {
    const Scratch pattern = run.scratch(static_cast<std::size_t>(m.n_q * m.n_k) * sizeof(T));
    const HeadInputs<T> x = inputs_of(m, sequence, head, scratch);
    head_values_backward<T>(kernels, x, kept_of<T>(m, task), {d_out + sequence * m.n_q * m.d + head * m.p, m.d},
                            {to + sequence * m.n_q * width + first + value_head(m, head) * m.p, width}, add,
                            pattern.as<T>(), scratch);
  });
}

/// A frozen run's scores see real parts alone.
void hold_scores(Run& run, Made& m) {
  if (!m.frozen || run.real() != Dtype::c128) return;
  m.held = run.make(m.call.source.shape);
  const auto* from = m.call.source.as<std::complex<double>>();
  std::transform(from, from + m.held.numel(), m.held.as<std::complex<double>>(),
                 [](const auto& x) { return x.real(); });
}

using Kernel = void(Run&, const Made&);

void compute_ref(Run& run, const Made& m) {
  visit_ref(run.real(), [&](auto zero) { compute<decltype(zero)>(run, m); });
}
void walk_back_ref(Run& run, const Made& m) {
  visit_ref(run.real(), [&](auto zero) { walk_back<decltype(zero)>(run, m); });
}
void walk_frozen_ref(Run& run, const Made& m) {
  visit_ref(run.real(), [&](auto zero) { walk_frozen<decltype(zero)>(run, m); });
}

constexpr Kernels<Kernel> forward_kernels{.op = "attention", .ref = compute_ref, .cpu = compute<float>};
constexpr Kernels<Kernel> backward_kernels{.op = "attention", .ref = walk_back_ref, .cpu = walk_back<float>};
constexpr Kernels<Kernel> frozen_kernels{.op = "attention", .ref = walk_frozen_ref, .cpu = walk_frozen<float>};

void check(const Run& run, const AttentionCall& c, int64_t d, int64_t p) {
  require(c.heads >= 1 && d % c.heads == 0, "[{}] width {} is not a multiple of {} heads", c.op, d, c.heads);
  require(!c.rotary || p % 2 == 0, "[{}] rotary turns pairs of channels, but a head is {} wide", c.op, p);
  require(!c.direction || p % 2 == 0, "[{}] direction has a factor a pair of channels, but a head is {} wide", c.op, p);
  require(!c.temperature || c.temperature.numel() == c.heads, "[{}] temperature must be ({}), came {}", c.op, c.heads,
          c.temperature.shape.str());
  require(!c.shift || c.shift.numel() == d, "[{}] shift must be ({}), came {}", c.op, d, c.shift.shape.str());
  require(!c.direction || c.direction.numel() == d, "[{}] direction must be ({}), came {}", c.op, d,
          c.direction.shape.str());
  require(!c.metric_q == !c.metric_k, "[{}] metrics of queries and of keys come together", c.op);
  for (const Tensor& metric : {c.metric_q, c.metric_k})
    require(!metric || metric.shape == Shape({d, p}), "[{}] a metric must be ({}, {}), came {}", c.op, d, p,
            metric.shape.str());
  if (c.cache == nullptr) return;
  require(!run.recording() && c.causal, "[{}] a cache serves causal decoding only, not recording", c.op);
  const Tensor& rows = c.cache->rows;
  const int64_t width = c.source.cols() - c.k_column;
  require(rows.shape.rank() == 3 && rows.shape[0] == c.source.shape[0] && rows.cols() == width,
          "[{}] cache must be ({}, capacity, {}), came {}", c.op, c.source.shape[0], width, rows.shape.str());
  const Tensor& keys = c.cache->keys;
  const Shape kept{rows.shape[0] * c.heads, rows.shape[1], p};
  require(!keys || (keys.shape == kept && keys.dtype == run.real()), "[{}] kept keys must be {}, came {}", c.op,
          kept.str(), keys.shape.str());
  require(!keys || !c.shift, "[{}] kept keys serve calls without shift", c.op);
  require(c.cache->used + c.source.shape[1] <= rows.shape[1], "[{}] cache of {} tokens is full: {} used, {} came", c.op,
          rows.shape[1], c.cache->used, c.source.shape[1]);
}

/// Copies the call's tokens behind those that the cache holds.
void append(const AttentionCall& call) {
  TokenCache& cache = *call.cache;
  const int64_t n = call.source.shape[1];
  const int64_t width = cache.rows.cols();
  const std::size_t size = size_of(call.source.dtype);
  const auto* from = static_cast<const std::byte*>(call.source.data);
  auto* to = static_cast<std::byte*>(cache.rows.data);
  require(cache.rows.dtype == call.source.dtype, "[{}] cache must be {}, came {}", call.op, name_of(call.source.dtype),
          name_of(cache.rows.dtype));
  for (int64_t i = 0; i < call.source.rows(); ++i) {
    const int64_t row = i / n * cache.rows.shape[1] + cache.used + i % n;
    const std::byte* begin = from + static_cast<std::size_t>(i * call.source.cols() + call.k_column) * size;
    std::copy_n(begin, static_cast<std::size_t>(width) * size, to + static_cast<std::size_t>(row * width) * size);
  }
  cache.used += n;
}

}  // namespace

Tensor attention(Run& run, const AttentionCall& call) {
  require(call.source.shape.rank() == 3, "[{}] expected (b, n, width), came {}", call.op, call.source.shape.str());
  const int64_t batch = call.source.shape[0];
  const int64_t n = call.source.shape[1];
  const int64_t d = call.source.cols() - call.v_column;
  check(run, call, d, d / std::max<int64_t>(1, call.heads));
  Made m{.call = call,
         .frozen = run.frozen(),
         .batch = batch,
         .n_q = n,
         .n_k = n,
         .d = d,
         .p = d / call.heads,
         .keys = call.source,
         .key_rows = n,
         .k_column = call.k_column,
         .v_column = call.v_column,
         .out = {},
         .lse = {},
         .along = {},
         .factors = {},
         .turns = {},
         .held = {}};
  if (call.cache != nullptr) {
    append(call);
    m.keys = call.cache->rows;
    m.n_k = call.cache->used;
    m.key_rows = m.keys.shape[1];
    m.k_column = 0;
    m.v_column = call.v_column - call.k_column;
  }
  m.out = call.operand ? run.make_operand({batch, n, d}) : run.make({batch, n, d});
  m.lse = run.make({batch, call.heads, n});
  if (call.exclusive) m.along = run.make({batch, call.heads, n});
  if (call.direction) m.factors = run.make({d});
  if (call.rotary) m.turns = run.make({m.n_k, m.p});
  hold_scores(run, m);
  const DeviceKind kind = run.device().kind();
  forward_kernels.on(kind)(run, m);
  Cost forward = attention_cost(batch, m.n_q, m.n_k, d, call.causal);
  if (call.metric_q) forward += metrics_cost(batch, m.n_q, keeps_keys(m) ? m.n_q : m.n_k, d, m.p);
  if (keeps_keys(m)) forward += attention_cost(batch, 0, m.n_k, d, false);  // another n_k rows are read
  if (run.frozen())
    run.record_frozen(call.op, m.out, forward, [&run, m, kind] { frozen_kernels.on(kind)(run, m); });
  else
    run.record(call.op, m.out, forward, {2 * forward.flops, 2 * forward.bytes},
               [&run, m, kind] { backward_kernels.on(kind)(run, m); });
  return m.out;
}

Cost attention_cost(int64_t batch, int64_t n_q, int64_t n_k, int64_t d, bool causal) {
  const double hidden = causal ? 0.5 * static_cast<double>(n_q) * static_cast<double>(n_q - 1) : 0.0;
  const double pairs = static_cast<double>(n_q) * static_cast<double>(n_k) - hidden;
  return {4.0 * static_cast<double>(batch * d) * pairs, 4.0 * static_cast<double>(batch * d * (2 * n_q + n_k))};
}

Cost metrics_cost(int64_t batch, int64_t n_q, int64_t n_k, int64_t d, int64_t p) {
  return {2.0 * static_cast<double>(batch * (n_q + n_k) * d) * static_cast<double>(p),
          8.0 * static_cast<double>(d * p)};
}

}  // namespace crate
