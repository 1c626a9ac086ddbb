#include "work/atoms/text_observation.h"

#include <algorithm>

#include "base/error.h"

namespace crate {
namespace {

constexpr int64_t feature_tokens = 1 << 20;  // read to see which features are common enough
constexpr int64_t least_feature_count = 16, most_features = 4000;

Tokens limited(const Tokens& text, int64_t most) { return most > 0 && text.size() > most ? text.slice(0, most) : text; }

}  // namespace

TextObservation::TextObservation(LanguageModel& model, const Tokenizer& tokenizer, const Tokens& text,
                                 const ObserveOptions& options)
    : Observation(model, options),
      language_model_(model),
      tokenizer_(tokenizer),
      corpus_(limited(text, options.max_tokens), tokenizer.separator()),
      features_(tokenizer, load_inventory(options.inventory)) {
  require(tokenizer.vocab_size() <= model.config().vocab,
          "the tokenizer knows {} tokens, the model {}; use the tokenizer the model was trained with",
          tokenizer.vocab_size(), model.config().vocab);
  choose_features();
  auto ngrams = std::make_unique<Ngrams>(corpus_, model.config().vocab, ngram_rows());
  known_ngrams_ = ngrams.get();
  prepare(std::move(ngrams));
}

// Features that hold often enough to say something; at most so many, the most frequent ones.
void TextObservation::choose_features() {
  std::vector<int64_t> counts;
  for (int64_t w = 0; w * window_tokens() < std::min(size(), feature_tokens); ++w) {
    for (const int32_t f : window(w).features.ids) {
      counts.resize(std::max(counts.size(), static_cast<std::size_t>(f) + 1));
      ++counts[static_cast<std::size_t>(f)];
    }
  }
  for (std::size_t f = 0; f < counts.size(); ++f)
    if (counts[f] >= least_feature_count) kept_.push_back(static_cast<int32_t>(f));
  if (static_cast<int64_t>(kept_.size()) > most_features) {
    std::stable_sort(kept_.begin(), kept_.end(), [&](int32_t a, int32_t b) {
      return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)];
    });
    kept_.resize(most_features);
    std::sort(kept_.begin(), kept_.end());
  }
  row_of_.assign(static_cast<std::size_t>(features_.size()), -1);
  for (std::size_t row = 0; row < kept_.size(); ++row)
    row_of_[static_cast<std::size_t>(kept_[row])] = static_cast<int32_t>(row);
}

// Before rows are given out every feature stands for itself.
int32_t TextObservation::row_of(int32_t feature) const {
  if (row_of_.empty()) return feature;
  return static_cast<std::size_t>(feature) < row_of_.size() ? row_of_[static_cast<std::size_t>(feature)] : -1;
}

WindowInfo TextObservation::window(int64_t number) {
  WindowInfo out;
  out.begin = number * window_tokens();
  out.length = std::min(window_tokens(), size() - out.begin);
  out.tokens = corpus_.read(out.begin, out.begin + out.length);
  for (int64_t i = 0; i < out.length;) {
    const int64_t document = corpus_.document_of(out.begin + i);
    const int64_t last = std::min(out.length, corpus_.end_of(document) - out.begin);
    out.sections.push_back({i, last, out.begin + i, static_cast<int32_t>(document), is_held_out(document)});
    const auto tokens = std::span(out.tokens).subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(last - i));
    const FeatureList some = features_.of(tokens, out.begin + i - corpus_.begin_of(document), i);
    for (int64_t k = 0; k < some.size(); ++k) {
      for (const int32_t f : some.of(k))
        if (const int32_t row = row_of(f); row >= 0) out.features.ids.push_back(row);
      out.features.begin.push_back(static_cast<int32_t>(out.features.ids.size()));
      const auto before = [&](int64_t back) { return k >= back ? tokens[static_cast<std::size_t>(k - back)] : -1; };
      if (known_ngrams_)
        out.ngrams.push_back(known_ngrams_->at(before(2), before(1), tokens[static_cast<std::size_t>(k)]));
    }
    i = last;
  }
  return out;
}

std::string TextObservation::ngram_text(int64_t row) const {
  std::string out;
  for (const int32_t t : ngrams().tokens_of(row))
    out += t == tokenizer_.separator() ? "document start" : output_text(t);
  return out;
}

std::map<std::string, std::string> TextObservation::about() const {
  return {{"kind", "text"},
          {"corpus", corpus_.name()},
          {"documents_are", corpus_.is_cut() ? "equal parts of the text" : "documents"},
          {"inventory", options_.inventory},
          {"seed", fmt::format("{}", options_.seed)}};
}

void TextObservation::forward(const std::vector<int64_t>& windows, Tap& tap) {
  std::vector<int32_t> tokens;
  for (const int64_t w : windows) {
    const int64_t begin = w * window_tokens();
    const auto some = corpus_.read(begin, std::min(size(), begin + window_tokens()));
    tokens.insert(tokens.end(), some.begin(), some.end());
  }
  const auto rows = static_cast<int64_t>(windows.size()), all = static_cast<int64_t>(tokens.size());
  Run run(model_.device(), {.tap = &tap});
  language_model_.hidden(run, {tokens.data(), {rows, all / rows}, Dtype::i32});
}

}  // namespace crate
