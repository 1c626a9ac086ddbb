#include "work/atoms/wordnet.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"

namespace crate {
namespace {

constexpr std::array<const char*, 45> lexicographer_files = {
    "adj.all",          "adj.pert",           "adv.all",
    "noun.Tops",        "noun.act",           "noun.animal",
    "noun.artifact",    "noun.attribute",     "noun.body",
    "noun.cognition",   "noun.communication", "noun.event",
    "noun.feeling",     "noun.food",          "noun.group",
    "noun.location",    "noun.motive",        "noun.object",
    "noun.person",      "noun.phenomenon",    "noun.plant",
    "noun.possession",  "noun.process",       "noun.quantity",
    "noun.relation",    "noun.shape",         "noun.state",
    "noun.substance",   "noun.time",          "verb.body",
    "verb.change",      "verb.cognition",     "verb.communication",
    "verb.competition", "verb.consumption",   "verb.contact",
    "verb.creation",    "verb.emotion",       "verb.motion",
    "verb.perception",  "verb.possession",    "verb.social",
    "verb.stative",     "verb.weather",       "adj.ppl"};

// Lexicographer file -> concept of the inventory "eight".
constexpr std::array<std::pair<int, const char*>, 8> eight = {{{18, "human"},
                                                               {5, "animal"},
                                                               {20, "plant"},
                                                               {8, "body"},
                                                               {6, "artifact"},
                                                               {13, "food"},
                                                               {15, "place"},
                                                               {28, "time"}}};

constexpr std::array<const char*, 4> parts = {"noun", "verb", "adj", "adv"};

void for_each_line(std::string_view text, const std::function<void(std::string_view)>& f) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.size(), text.find('\n'));
    f(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t end = std::min(line.size(), line.find_first_of(" \t,\r", i));
    if (end > i) out.push_back(line.substr(i, end - i));
    i = end + 1;
  }
  return out;
}

// 0 where there is no number.
int64_t number(std::string_view text, int base = 10) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

struct Synset {
  int file = 0;
  std::string name;
  std::vector<int64_t> above;  // hypernyms
};

struct Sense {
  int part;
  int64_t offset;  // of its synset
};

// The files of the package, as far as they are needed.
class WordNet {
 public:
  explicit WordNet(const std::string& folder) : folder_(folder) {
    for (int p = 0; p < 4; ++p) {
      read_data(p);
      read_index(p);
      read_exceptions(p);
    }
    read_counts();
  }

  // Lexicographer files of a base form.
  std::vector<int32_t> files_of(const std::string& lemma) const {
    std::vector<int32_t> out;
    if (const auto it = counts_.find(lemma); it != counts_.end()) {
      int64_t total = 0;
      for (const auto& [file, count] : it->second) total += count;
      for (const auto& [file, count] : it->second)
        if (5 * count >= total) out.push_back(file);
      return out;
    }
    if (const Sense* sense = first_sense(lemma)) out.push_back(synset(*sense).file);
    return out;
  }

  const Sense* first_sense(const std::string& lemma) const {
    const auto it = senses_.find(lemma);
    return it == senses_.end() ? nullptr : &it->second.front();
  }
  const Synset& synset(const Sense& s) const { return synsets_[static_cast<std::size_t>(s.part)].at(s.offset); }
  const Synset* find(int part, int64_t offset) const {
    const auto& all = synsets_[static_cast<std::size_t>(part)];
    const auto it = all.find(offset);
    return it == all.end() ? nullptr : &it->second;
  }

  // The base form that WordNet knows; empty when there is none.
  std::string base_form(const std::string& word) const {
    if (senses_.contains(word)) return word;
    if (const auto it = exceptions_.find(word); it != exceptions_.end() && senses_.contains(it->second))
      return it->second;
    constexpr std::array<std::pair<const char*, const char*>, 18> rules = {{{"s", ""},
                                                                            {"ses", "s"},
                                                                            {"xes", "x"},
                                                                            {"zes", "z"},
                                                                            {"ches", "ch"},
                                                                            {"shes", "sh"},
                                                                            {"men", "man"},
                                                                            {"ies", "y"},
                                                                            {"es", "e"},
                                                                            {"es", ""},
                                                                            {"ed", "e"},
                                                                            {"ed", ""},
                                                                            {"ing", "e"},
                                                                            {"ing", ""},
                                                                            {"er", ""},
                                                                            {"est", ""},
                                                                            {"er", "e"},
                                                                            {"est", "e"}}};
    for (const auto& [end, instead] : rules) {
      const std::string_view tail(end);
      if (word.size() <= tail.size() + 1 || !std::string_view(word).ends_with(tail)) continue;
      std::string base = word.substr(0, word.size() - tail.size()) + instead;
      if (senses_.contains(base)) return base;
    }
    return {};
  }

 private:
  std::string text(const std::string& name) const {
    return read_text_file((std::filesystem::path(folder_) / name).string());
  }

  void read_data(int p) {
    for_each_line(text(std::string("data.") + parts[static_cast<std::size_t>(p)]), [&](std::string_view line) {
      if (line.starts_with(' ')) return;
      const auto w = words_of(line.substr(0, line.find('|')));
      if (w.size() < 6) return;
      Synset s;
      s.file = static_cast<int>(number(w[1]));
      s.name = w[4];
      std::size_t at = 4 + 2 * static_cast<std::size_t>(number(w[3], 16));
      const int64_t pointers = at < w.size() ? number(w[at]) : 0;
      ++at;
      for (int64_t i = 0; i < pointers && at + 3 < w.size(); ++i, at += 4)
        if (w[at] == "@" || w[at] == "@i") s.above.push_back(number(w[at + 1]));
      if (s.file >= 0 && s.file < static_cast<int>(lexicographer_files.size()))
        synsets_[static_cast<std::size_t>(p)][number(w[0])] = std::move(s);
    });
  }

  void read_index(int p) {
    for_each_line(text(std::string("index.") + parts[static_cast<std::size_t>(p)]), [&](std::string_view line) {
      if (line.starts_with(' ')) return;
      const auto w = words_of(line);
      if (w.size() < 7) return;
      const auto at = 4 + static_cast<std::size_t>(number(w[3])) + 2;
      if (at >= w.size() || !find(p, number(w[at]))) return;
      senses_[std::string(w[0])].push_back({p, number(w[at])});
    });
  }

  void read_exceptions(int p) {
    for_each_line(text(std::string(parts[static_cast<std::size_t>(p)]) + ".exc"), [&](std::string_view line) {
      const auto w = words_of(line);
      if (w.size() >= 2) exceptions_.try_emplace(std::string(w[0]), std::string(w[1]));
    });
  }

  // "dog%1:05:00:: 1 42": sense key, number of the sense, uses.
  void read_counts() {
    for_each_line(text("cntlist.rev"), [&](std::string_view line) {
      const auto w = words_of(line);
      const auto percent = line.find('%');
      if (w.size() != 3 || percent == std::string_view::npos) return;
      const auto colon = line.find(':', percent);
      if (colon == std::string_view::npos) return;
      const int64_t file = number(line.substr(colon + 1, 2));
      if (file < static_cast<int64_t>(lexicographer_files.size()))
        counts_[std::string(line.substr(0, percent))][static_cast<int32_t>(file)] += number(w[2]);
    });
  }

  std::string folder_;
  std::array<std::unordered_map<int64_t, Synset>, 4> synsets_;
  std::unordered_map<std::string, std::vector<Sense>> senses_;  // first sense of each part of speech
  std::unordered_map<std::string, std::string> exceptions_;
  std::unordered_map<std::string, std::map<int32_t, int64_t>> counts_;
};

// Words of content by a function from base form to concepts.
class WordNetInventory : public Inventory {
 public:
  explicit WordNetInventory(const std::string& folder) : net_(folder) {}
  const std::vector<std::string>& concepts() const override { return concepts_; }
  std::vector<int32_t> of(std::string_view word) override {
    const std::string w = lower(word);
    if (w.size() < 2 || is_function_word(w)) return {};
    const std::string base = net_.base_form(w);
    return base.empty() ? std::vector<int32_t>{} : of_base(base);
  }

 protected:
  virtual std::vector<int32_t> of_base(const std::string& base) = 0;
  WordNet net_;
  std::vector<std::string> concepts_;
};

class Supersenses final : public WordNetInventory {
 public:
  explicit Supersenses(const std::string& folder) : WordNetInventory(folder) {
    concepts_.assign(lexicographer_files.begin(), lexicographer_files.end());
  }

 private:
  std::vector<int32_t> of_base(const std::string& base) override { return net_.files_of(base); }
};

class Eight final : public WordNetInventory {
 public:
  explicit Eight(const std::string& folder) : WordNetInventory(folder) {
    for (const auto& [file, name] : eight) concepts_.emplace_back(name);
  }

 private:
  std::vector<int32_t> of_base(const std::string& base) override {
    std::vector<int32_t> out;
    for (const int32_t file : net_.files_of(base)) {
      for (std::size_t i = 0; i < eight.size(); ++i)
        if (eight[i].first == file) out.push_back(static_cast<int32_t>(i));
    }
    std::sort(out.begin(), out.end());
    return out;
  }
};

// Every synset that is above some word becomes a concept; numbers are handed out in the order of the files.
class Closure final : public WordNetInventory {
 public:
  explicit Closure(const std::string& folder) : WordNetInventory(folder) {}

 private:
  std::vector<int32_t> of_base(const std::string& base) override {
    const Sense* sense = net_.first_sense(base);
    if (!sense) return {};
    std::set<int32_t> out;
    std::vector<int64_t> open = {sense->offset};
    while (!open.empty()) {
      const int64_t offset = open.back();
      open.pop_back();
      const Synset* s = net_.find(sense->part, offset);
      if (s && out.insert(number_of(sense->part, offset, *s)).second)
        open.insert(open.end(), s->above.begin(), s->above.end());
    }
    return {out.begin(), out.end()};
  }

  // Concepts are numbered as they are met: the order of the corpus, which is the same for the same corpus.
  int32_t number_of(int part, int64_t offset, const Synset& s) {
    const auto [it, fresh] = numbers_.try_emplace({part, offset}, static_cast<int32_t>(concepts_.size()));
    if (fresh) concepts_.push_back(fmt::format("{} ({})", s.name, parts[static_cast<std::size_t>(part)]));
    return it->second;
  }
  std::map<std::pair<int, int64_t>, int32_t> numbers_;
};

class Lists final : public Inventory {
 public:
  explicit Lists(const std::string& path) {
    for_each_line(text_ = read_text_file(path), [&](std::string_view line) {
      if (line.empty() || line.starts_with('#')) return;
      const auto tab = line.find('\t');
      require(tab != std::string_view::npos && tab > 0, "{}: expected 'concept<TAB>word word ...', came '{:.60}'", path,
              line);
      const std::string concept_name(line.substr(0, tab));
      const auto known = std::find(concepts_.begin(), concepts_.end(), concept_name);
      const auto number = static_cast<int32_t>(known - concepts_.begin());
      if (known == concepts_.end()) concepts_.push_back(concept_name);
      for (const std::string_view word : words_of(line.substr(tab + 1))) words_[lower(word)].insert(number);
    });
    require(!concepts_.empty(), "{} lists no concepts", path);
  }
  const std::vector<std::string>& concepts() const override { return concepts_; }
  std::vector<int32_t> of(std::string_view word) override {
    const auto it = words_.find(lower(word));
    return it == words_.end() ? std::vector<int32_t>{} : std::vector<int32_t>(it->second.begin(), it->second.end());
  }

 private:
  std::string text_;
  std::vector<std::string> concepts_;
  std::unordered_map<std::string, std::set<int32_t>> words_;
};

class Nothing final : public Inventory {
 public:
  const std::vector<std::string>& concepts() const override { return concepts_; }
  std::vector<int32_t> of(std::string_view) override { return {}; }

 private:
  std::vector<std::string> concepts_;
};

}  // namespace

bool has_wordnet(const std::string& folder) {
  return std::filesystem::exists(std::filesystem::path(folder) / "data.noun") &&
         std::filesystem::exists(std::filesystem::path(folder) / "cntlist.rev");
}

bool is_function_word(std::string_view word) {
  static const std::unordered_set<std::string_view> words = {
      "a",       "an",       "the",    "this",  "that",  "these", "those",  "i",       "you",     "he",     "she",
      "it",      "we",       "they",   "me",    "him",   "her",   "us",     "them",    "my",      "your",   "his",
      "its",     "our",      "their",  "who",   "whom",  "whose", "which",  "what",    "where",   "when",   "why",
      "how",     "in",       "on",     "at",    "by",    "for",   "from",   "to",      "of",      "with",   "as",
      "into",    "onto",     "over",   "under", "about", "after", "before", "between", "through", "during", "against",
      "without", "within",   "upon",   "and",   "or",    "but",   "nor",    "so",      "yet",     "if",     "because",
      "while",   "although", "though", "than",  "then",  "be",    "am",     "is",      "are",     "was",    "were",
      "been",    "being",    "do",     "does",  "did",   "has",   "have",   "had",     "having",  "will",   "would",
      "shall",   "should",   "can",    "could", "may",   "might", "must",   "not",     "no",      "there",  "here",
      "all",     "any",      "some",   "each",  "every", "both",  "either", "neither", "such",    "own",    "same",
      "too",     "very",     "just",   "also",  "only",  "out",   "up",     "down",    "off",     "s",      "t",
      "d",       "ll",       "re",     "ve",    "m",     "o",     "thou",   "thee",    "thy",     "ye"};
  return words.contains(word);
}

std::unique_ptr<Inventory> load_inventory(const std::string& name, const std::string& folder) {
  if (name == "none") return std::make_unique<Nothing>();
  const bool needs = name == "eight" || name == "supersenses" || name == "wordnet";
  if (!needs) {
    require(std::filesystem::exists(name),
            "no inventory {}: expected eight, supersenses, wordnet, none, or a file with lines 'concept<TAB>words'",
            name);
    return std::make_unique<Lists>(name);
  }
  require(has_wordnet(folder),
          "the inventory {} needs WordNet in {}: install Debian's wordnet-base, or say "
          "--inventory none or a file with word lists",
          name, folder);
  if (name == "eight") return std::make_unique<Eight>(folder);
  if (name == "supersenses") return std::make_unique<Supersenses>(folder);
  return std::make_unique<Closure>(folder);
}

}  // namespace crate
