// index: what is known of the atoms of a model, read from the file that `crate atoms` writes (SQLite, the tables of
// docs/atoms.md). A file from elsewhere is not trusted: what does not fit is refused by name.
//
//   AtomIndex index("atoms.sqlite");
//   index.name_of("blocks.3.ista.code", 205)   // "noun.animal", or "" when nothing beat chance
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "work/atoms/database.h"

namespace crate {

/// One token and a number that belongs to it.
struct TokenValue {
  int32_t token = 0;
  std::string text;  // its bytes; may be no valid UTF-8
  double value = 0;
  int64_t count = 0;  // of token tables: how often it was seen
};

struct AtomContext {
  std::string kind;  // "top": around the largest activations; "active": around active tokens drawn by chance
  bool held_out = false;
  int64_t document = 0;
  int64_t begin = 0;            // of its first token in the corpus
  int64_t peak = 0;             // which of the tokens it is around
  double value = 0;             // there
  int64_t quantile = -1;        // "active": which tenth of the atom's activations it is in
  std::vector<int32_t> tokens;  // of texts
  std::vector<std::string> texts;
  std::vector<float> values;
};

struct RelatedAtom {
  int64_t atom = 0;
  double correlation = 0;
};

/// How well a feature of tokens tells where the atom is above a threshold chosen on the documents not held out.
struct ConceptMatch {
  std::string text;
  double threshold = 0, f1_train = 0, f1 = 0, precision = 0, recall = 0;  // f1, precision, recall: held out
};

/// A simulator's correlation with the atom on held-out excerpts; NaN when the atom was silent there.
struct SimulatorScore {
  std::string simulator;  // "S0", "S1", "S2", "name"
  double top_and_random = 0, random_only = 0;
};

struct AtomRecord {
  std::string site;
  int64_t atom = 0;
  double density = 0;                                         // share of tokens above 0
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;  // of all tokens; kurtosis 3 for a normal distribution
  double least = 0, most = 0;
  std::string name;   // empty: no name beat the permuted labels at the index' level
  std::string guess;  // the best candidate, named or not
  std::string kind;   // of it: "token", "n-gram", "feature", "features"
  double score = 0;   // its correlation on held-out excerpts, top and random
  double p_value = 1;
  std::vector<double> quantiles;   // 11 borders of the tenths of what is above 0
  std::vector<int64_t> histogram;  // in the bins of AtomIndex::histogram_borders
};

/// Valid UTF-8 for JSON and terminals: bytes that are none become U+FFFD.
std::string as_utf8(const std::string& bytes);

class AtomIndex {
 public:
  /// Throws Error when the file is no index, or one of another version.
  explicit AtomIndex(const std::string& path);

  /// "model", "family", "hash", "corpus", "tokens", "level", ... as docs/atoms.md lists them; empty when absent.
  std::string about(const std::string& key) const;
  const std::vector<std::string>& sites() const { return sites_; }
  bool has(std::string_view site) const;
  int64_t atoms(std::string_view site) const;
  std::vector<double> histogram_borders() const;

  /// Valid UTF-8; empty when the atom has no name, or the index does not know the site.
  std::string name_of(std::string_view site, int64_t atom);
  /// The following throw Error when there is no such atom.
  AtomRecord record(std::string_view site, int64_t atom);
  /// Top contexts by value, then the others by value; at most `most` of each kind.
  std::vector<AtomContext> contexts(std::string_view site, int64_t atom, int64_t most = 1000);
  /// Runs of tokens drawn at random from the corpus, the same for every atom.
  std::vector<AtomContext> random_contexts(std::string_view site, int64_t atom, int64_t most = 1000);
  /// Tokens whose logits the atom raises most, and those it lowers most.
  std::vector<TokenValue> raises(std::string_view site, int64_t atom);
  std::vector<TokenValue> lowers(std::string_view site, int64_t atom);
  /// All direct effects as a histogram: borders and counts.
  std::pair<std::vector<double>, std::vector<int64_t>> logit_histogram(std::string_view site, int64_t atom);
  /// The tokens it is active on most: mean activation and count.
  std::vector<TokenValue> token_table(std::string_view site, int64_t atom);
  std::vector<RelatedAtom> related(std::string_view site, int64_t atom);
  std::vector<ConceptMatch> concepts(std::string_view site, int64_t atom);
  std::vector<SimulatorScore> scores(std::string_view site, int64_t atom);
  std::string token_text(int32_t token) const;
  bool is_text() const { return about("kind") != "images"; }
  /// Of a document: the file of an image and its class; empty for texts.
  std::string title(int64_t document);
  /// Of images: the image, and the row and column of the patch that a context is around.
  std::string patch_of(const AtomContext& context);

 private:
  int64_t id(std::string_view site, int64_t atom) const;
  std::vector<int32_t> corpus_tokens(int64_t begin, int64_t length);
  void fill_tokens(AtomContext& context, std::span<const std::byte> values);
  std::vector<TokenValue> effects(std::string_view site, int64_t atom, bool raised);

  Database database_;
  std::map<std::string, std::string> about_;
  std::vector<std::string> sites_, tokens_;
  std::vector<int64_t> first_, counts_;  // id of a site's first atom; atoms of it
  int64_t chunk_ = 0;                    // corpus tokens a row of the table holds
};

}  // namespace crate
