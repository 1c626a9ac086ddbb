#include "work/generate/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "work/generate/stream.h"

namespace crate {
namespace {

std::vector<double> last_row(const Tensor& logits, int64_t vocab) {
  const int64_t last = logits.rows() - 1, cols = logits.cols();
  std::vector<double> out(static_cast<std::size_t>(vocab));
  for (int64_t i = 0; i < vocab; ++i) {
    out[static_cast<std::size_t>(i)] =
        logits.dtype == Dtype::f32 ? logits.as<float>()[last * cols + i] : logits.as<double>()[last * cols + i];
  }
  return out;
}

// The next token's logits after `fresh` more tokens.
std::vector<double> logits_after(LanguageModel& model, std::vector<int32_t> fresh, DecodeState* state, int64_t vocab,
                                 Tap* tap) {
  Run run(model.device(), {.tap = tap});
  const auto n = static_cast<int64_t>(fresh.size());
  const Tensor hidden = model.hidden(run, {fresh.data(), {1, n}, Dtype::i32}, state);
  return last_row(model.head(run, hidden.row_slice(n - 1, n)), vocab);
}

class Window {
 public:
  Window(LanguageModel& model, const GenerateOptions& options)
      : model_(model),
        state_(model.device(), model.config(), 1),
        changes_(options.changes, model.config()),
        cache_(options.cache) {}

  std::vector<double> next(const std::vector<int32_t>& all, int64_t vocab) {
    const auto context = static_cast<std::size_t>(model_.config().context);
    const std::size_t begin = all.size() > context ? all.size() - context : 0;
    const bool slid = begin != begin_;
    begin_ = begin;
    if (slid || !cache_) state_.clear();
    const std::size_t known = static_cast<std::size_t>(state_.length());
    const std::vector<int32_t> fresh(all.begin() + static_cast<std::ptrdiff_t>(begin + known), all.end());
    changes_.begin_at(static_cast<int64_t>(begin + known));
    return logits_after(model_, fresh, cache_ ? &state_ : nullptr, vocab,
                        changes_.changes().empty() ? nullptr : &changes_);
  }

 private:
  LanguageModel& model_;
  DecodeState state_;
  InterventionTap changes_;
  bool cache_;
  std::size_t begin_ = 0;
};

// Tokens from the most likely on, the lower number first where two are alike. Each is found when it is asked for, since
// most draws end after a few of a large vocabulary: sorting 50257 took longer than making their logits.
class Ranked {
  struct Behind {
    const std::vector<double>& logits;
    bool operator()(int32_t a, int32_t b) const {
      const double x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
      return x < y || (x == y && a > b);
    }
  };

 public:
  explicit Ranked(const std::vector<double>& logits) : behind_{logits}, rest_(logits.size()) {
    std::iota(rest_.begin(), rest_.end(), 0);
    std::make_heap(rest_.begin(), rest_.end(), behind_);
  }
  int32_t operator[](std::size_t i) {
    while (found_.size() <= i) {
      std::pop_heap(rest_.begin(), rest_.end(), behind_);
      found_.push_back(rest_.back());
      rest_.pop_back();
    }
    return found_[i];
  }

 private:
  Behind behind_;
  std::vector<int32_t> rest_, found_;
};

int32_t most_likely(const std::vector<double>& logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

int32_t choose(const std::vector<double>& logits, const GenerateOptions& options, int64_t position) {
  if (options.greedy) return most_likely(logits);
  require(options.temperature > 0, "[generate] the temperature must be > 0, came {}; use greedy for 0",
          options.temperature);
  require(options.top_p > 0 && options.top_p <= 1, "[generate] top-p must lie in (0, 1], came {}", options.top_p);
  require(options.top_k >= 0, "[generate] top-k must be >= 0, came {}", options.top_k);
  Ranked ranked(logits);
  const double top = logits[static_cast<std::size_t>(ranked[0])];
  const auto weight = [&](int32_t t) {
    return std::exp((logits[static_cast<std::size_t>(t)] - top) / options.temperature);
  };
  std::size_t n = logits.size();
  double kept = 0;
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < n) {
    n = static_cast<std::size_t>(options.top_k);
    for (std::size_t i = 0; i < n; ++i) kept += weight(ranked[i]);
  } else {
    for (std::size_t t = 0; t < n; ++t) kept += weight(static_cast<int32_t>(t));
  }
  if (options.top_p < 1) {
    const double wanted = options.top_p * kept;
    std::size_t count = 0;
    for (kept = 0; count < n && kept < wanted; ++count) kept += weight(ranked[count]);
    n = count;
  }
  double rest = kept * Rng(options.seed, Stream::sample).uniform(0, static_cast<uint64_t>(position));
  for (std::size_t i = 0; i < n; ++i) {
    rest -= weight(ranked[i]);
    if (rest < 0) return ranked[i];
  }
  return ranked[n - 1];
}

std::vector<int32_t> continue_tokens(LanguageModel& model, std::vector<int32_t> prompt, const GenerateOptions& options,
                                     int64_t vocab, const std::function<bool(int32_t)>& keep_going) {
  require(!prompt.empty(), "[generate] the prompt is empty");
  Window window(model, options);
  std::vector<int32_t> made;
  while (static_cast<int64_t>(made.size()) < options.tokens) {
    const int32_t token = choose(window.next(prompt, vocab), options, static_cast<int64_t>(prompt.size()));
    if (!keep_going(token)) break;
    prompt.push_back(token);
    made.push_back(token);
  }
  return made;
}

GenerateResult generate(LanguageModel& model, const Tokenizer& tokenizer, std::vector<int32_t> prompt,
                        const GenerateOptions& options, const std::function<void(std::string_view)>& emit) {
  require(tokenizer.vocab_size() <= model.config().vocab,
          "the tokenizer knows {} tokens, the model {}; use the tokenizer the model was trained with",
          tokenizer.vocab_size(), model.config().vocab);
  const auto start = std::chrono::steady_clock::now();
  if (prompt.empty()) prompt.push_back(tokenizer.separator());
  GenerateResult result;
  TextStream stream(options.stop, [&](std::string_view text) {
    result.text += text;
    if (emit) emit(text);
  });
  result.tokens = continue_tokens(model, std::move(prompt), options, tokenizer.vocab_size(), [&](int32_t token) {
    result.stopped = token == tokenizer.separator() || !stream.take(tokenizer.bytes_of(token));
    return !result.stopped;
  });
  stream.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace crate
