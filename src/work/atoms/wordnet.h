// wordnet: which concepts an English word belongs to, from WordNet 3.0 as Debian's wordnet-base installs it.
//
// A word is brought to its base form as WordNet's own morphy does (exception lists, then detachment rules). Its class
// is the lexicographer file of its senses: of the 45 files those that hold at least a fifth of the word's uses in the
// tagged texts behind cntlist.rev; for words without such uses, the first sense of its noun, else verb, else adjective
// or adverb reading. Words that only carry grammar ("in", "a", "it") have noun readings (indium, angstrom) that nobody
// means; they have no class.
//
// An inventory is a choice of concepts:
//   eight        human, animal, plant, body, artifact, food, place, time
//   supersenses  the 45 lexicographer files
//   wordnet      every synset above the word's most used sense (the hypernym closure): thousands
//   FILE.tsv     lines "concept<TAB>word word ..."
//   none
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

class Inventory {
 public:
  virtual ~Inventory() = default;
  virtual const std::vector<std::string>& concepts() const = 0;
  /// Numbers of the concepts of a word in any case; empty for unknown words. `wordnet` numbers its concepts as it meets
  /// them, in the order of the corpus.
  virtual std::vector<int32_t> of(std::string_view word) = 0;
};

/// Where Debian's package puts it.
inline constexpr const char* wordnet_folder = "/usr/share/wordnet";
bool has_wordnet(const std::string& folder = wordnet_folder);

/// "eight", "supersenses", "wordnet", "none", or a TSV file. Throws Error naming what is missing and the remedy.
std::unique_ptr<Inventory> load_inventory(const std::string& name, const std::string& folder = wordnet_folder);

/// True for words that only carry grammar: articles, pronouns, prepositions, conjunctions, auxiliaries, particles.
bool is_function_word(std::string_view lower_case);

}  // namespace crate
