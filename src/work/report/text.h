// text: the windows a report reads, and what is known of their tokens before any model runs.
//
// A window lies within one document and is as long as the others; what is left of a document behind its last whole
// window is not read. Documents are split by halves as in work/atoms: whatever is chosen or fitted is chosen on windows
// of the one half and scored on windows of the other.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "work/atoms/corpus.h"
#include "work/atoms/wordnet.h"
#include "work/report/probe.h"

namespace crate {

struct Window {
  std::vector<int32_t> tokens;
  int64_t document = 0;
  bool held_out = false;
};

/// At most `tokens` tokens in windows of `length`, taken from all over the text. Throws Error when no document is as
/// long as a window.
std::vector<Window> windows_of(const AtomCorpus& corpus, int64_t length, int64_t tokens);

/// Word classes as far as a lexicon tells them: of words all of whose WordNet senses in use are of one class, and of
/// words that only carry grammar. `none`: the token ends no such word.
enum class WordClass : int8_t { none = -1, noun, verb, adjective, adverb, function };
constexpr int word_classes = 5;
const char* name_of(WordClass c);

/// The class of the word that ends with each token of a window; a word split over tokens counts at its last.
std::vector<WordClass> word_classes_of(const std::vector<int32_t>& tokens, const Tokenizer& tokenizer,
                                       Inventory& supersenses);

/// A token chosen for probing.
struct Place {
  int32_t window = 0, position = 0;
  WordClass word = WordClass::none;
};

/// At most `each` tokens of every class, drawn by address, from windows that are held out or from those that are not.
std::vector<Place> draw_places(const std::vector<Window>& windows, const std::vector<std::vector<WordClass>>& classes,
                               bool held_out, int64_t each, uint64_t seed);

/// A text with a label 0 or 1.
struct LabelledText {
  std::vector<int32_t> tokens;
  uint8_t label = 0;
};

/// Lines "sentence<TAB>label" under a heading, as GLUE's SST-2 comes; the first `limit`. Throws Error naming the line.
std::vector<LabelledText> read_labelled(const std::string& path, const Tokenizer& tokenizer, int64_t limit);

}  // namespace crate
