// evaluate: how well a language model predicts a text.
//
// Protocol: the text is one sequence of tokens, a separator before each document. With stride = context (the default)
// it is cut into disjoint blocks; with a smaller stride the windows overlap and a window counts only the targets no
// earlier window has counted. The last window ends with the text and, if that leaves it short, begins earlier and
// counts only what is new. Every token but the first is a target exactly once. loss is the mean over targets in nats;
// bits_per_byte = total nats / ln 2 / bytes of the targets, so models with different tokenizers compare; a separator
// costs bits and has no bytes.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "work/data/tokenizer.h"
#include "work/data/tokens.h"
#include "work/steer/intervention.h"

namespace crate {

struct EvalOptions {
  int64_t stride = 0;                      // 0: the context
  int64_t batch = 16;                      // windows at a time
  int64_t max_tokens = 0;                  // only the first so many tokens; 0: all
  bool sparsity = true;                    // count non-zero codes
  std::vector<Intervention> changes = {};  // of atoms while the model runs; positions count from a window's beginning
  std::function<void(int64_t done, int64_t total)> progress = {};
};

struct EvalResult {
  double loss = 0, perplexity = 0, bits_per_byte = 0;
  int64_t tokens = 0;  // targets counted
  int64_t bytes = 0;   // of those
  double seconds = 0, tokens_per_second = 0;
  std::vector<double> code_nonzero;  // a layer: fraction of non-zero codes (twins: of positive hidden units)
  double mean_nonzero() const;
};

/// Throws Error when the text is empty or its tokens do not belong to the model.
EvalResult evaluate(LanguageModel& model, const Tokenizer& tokenizer, const Tokens& text,
                    const EvalOptions& options = {});

}  // namespace crate
