#include "work/eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"
#include "work/eval/sparsity.h"

namespace crate {
namespace {

struct Window {
  int64_t begin, length;  // inputs begin .. begin + length - 1
  int64_t counted;        // of its targets, the last so many are new
};

std::vector<Window> windows_of(int64_t tokens, int64_t context, int64_t stride) {
  std::vector<Window> out;
  const int64_t targets = tokens - 1;
  for (int64_t covered = 0; covered < targets;) {
    const int64_t end = std::min(targets, covered + (covered == 0 ? context : stride));
    const int64_t begin = std::max<int64_t>(0, end - context);
    out.push_back({begin, end - begin, end - covered});
    covered = end;
  }
  return out;
}

// Windows of one length at a time, so that they form a batch.
int64_t batch_end(const std::vector<Window>& windows, std::size_t from, int64_t batch) {
  std::size_t to = from;
  while (to < windows.size() && to - from < static_cast<std::size_t>(batch) &&
         windows[to].length == windows[from].length)
    ++to;
  return static_cast<int64_t>(to);
}

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }

struct Sums {
  double nats = 0;
  int64_t tokens = 0, bytes = 0;
};

void evaluate_batch(LanguageModel& model, const Tokenizer& tokenizer, const Tokens& text,
                    std::span<const Window> windows, Tap* tap, Sums& sums) {
  const auto rows = static_cast<int64_t>(windows.size()), n = windows[0].length;
  std::vector<int32_t> inputs(static_cast<std::size_t>(rows * n)), targets(inputs.size());
  for (int64_t r = 0; r < rows; ++r) {
    const Window& w = windows[static_cast<std::size_t>(r)];
    text.copy(w.begin, n, inputs.data() + r * n);
    text.copy(w.begin + 1, n, targets.data() + r * n);
    std::fill_n(targets.begin() + static_cast<std::ptrdiff_t>(r * n), n - w.counted, -1);
  }
  Run run(model.device(), {.tap = tap});
  const CrossEntropy out =
      model.loss(run, {inputs.data(), {rows, n}, Dtype::i32}, {targets.data(), {rows, n}, Dtype::i32});
  for (int64_t i = 0; i < rows * n; ++i) {
    const int32_t target = targets[static_cast<std::size_t>(i)];
    if (target < 0) continue;
    sums.nats += at(out.token_loss, i);
    sums.bytes += static_cast<int64_t>(tokenizer.bytes_of(target).size());
    ++sums.tokens;
  }
}

}  // namespace

double EvalResult::mean_nonzero() const {
  return code_nonzero.empty() ? 0
                              : std::accumulate(code_nonzero.begin(), code_nonzero.end(), 0.0) /
                                    static_cast<double>(code_nonzero.size());
}

EvalResult evaluate(LanguageModel& model, const Tokenizer& tokenizer, const Tokens& all, const EvalOptions& options) {
  const int64_t context = model.config().context, stride = options.stride > 0 ? options.stride : context;
  require(tokenizer.vocab_size() <= model.config().vocab,
          "the tokenizer knows {} tokens, the model {}; use the tokenizer the model was trained with",
          tokenizer.vocab_size(), model.config().vocab);
  require(stride <= context, "a stride of {} is longer than the context of {}", stride, context);
  const Tokens text = options.max_tokens > 0 ? all.slice(0, std::min(all.size(), options.max_tokens)) : all;
  require(text.size() > 1, "{} is empty: there is nothing to evaluate on", text.name());
  const std::vector<Window> windows = windows_of(text.size(), context, stride);
  SparsityTap sparsity(model.config().layers);
  Tap* listener = options.sparsity ? &sparsity : nullptr;
  InterventionTap changes(options.changes, model.config(), listener);
  Sums sums;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < windows.size();) {
    const auto end = static_cast<std::size_t>(batch_end(windows, i, options.batch));
    evaluate_batch(model, tokenizer, text, std::span(windows).subspan(i, end - i),
                   options.changes.empty() ? listener : &changes, sums);
    i = end;
    if (options.progress) options.progress(sums.tokens, text.size() - 1);
  }
  EvalResult out;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  out.tokens = sums.tokens;
  out.bytes = sums.bytes;
  out.loss = sums.nats / static_cast<double>(sums.tokens);
  out.perplexity = std::exp(out.loss);
  out.bits_per_byte = sums.bytes > 0 ? sums.nats / std::log(2.0) / static_cast<double>(sums.bytes) : 0;
  out.tokens_per_second = static_cast<double>(sums.tokens) / out.seconds;
  out.code_nonzero = sparsity.fractions();
  return out;
}

}  // namespace crate
