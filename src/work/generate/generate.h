// generate: text from a language model, one token at a time.
//
// Decoding keeps what each token leaves behind (one vector a layer for MSSA: key and value are the same), so a token
// costs one row of the forward. When the context is full the window becomes its last `context` tokens and positions
// restart at 0, as the authors' code does; every further token then costs a whole window. With cache = false each token
// runs the whole window; both ways give the same tokens.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/language_model.h"
#include "work/data/tokenizer.h"
#include "work/steer/intervention.h"

namespace crate {

struct GenerateOptions {
  int64_t tokens = 200;
  bool greedy = false;
  double temperature = 0.8;  // > 0
  int64_t top_k = 0;         // only the k most likely; 0: all
  double top_p = 1.0;        // only the most likely whose probabilities reach p; 1: all
  uint64_t seed = 0;
  std::vector<std::string> stop = {};  // end before the first of these appears
  bool cache = true;
  std::vector<Intervention> changes = {};  // of atoms while the model runs; position 0 is the prompt's first token
};

struct GenerateResult {
  std::vector<int32_t> tokens;  // new ones, without those of a stop string's token
  std::string text;
  bool stopped = false;  // by a stop string or the document separator
  double seconds = 0;
};

/// `emit` receives text as soon as it is certain: whole UTF-8 characters that cannot belong to a stop string.
/// An empty prompt begins at the document separator. Throws Error on tokens outside the vocabulary.
GenerateResult generate(LanguageModel& model, const Tokenizer& tokenizer, std::vector<int32_t> prompt,
                        const GenerateOptions& options, const std::function<void(std::string_view)>& emit = {});

/// The token chosen from `logits` at place `position`. Throws Error when an option is out of range.
int32_t choose(const std::vector<double>& logits, const GenerateOptions& options, int64_t position);

/// New tokens only, for models without a tokenizer.
std::vector<int32_t> continue_tokens(LanguageModel& model, std::vector<int32_t> prompt, const GenerateOptions& options,
                                     int64_t vocab, const std::function<bool(int32_t)>& keep_going);

}  // namespace crate
