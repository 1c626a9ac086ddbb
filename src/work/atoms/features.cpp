#include "work/atoms/features.h"

#include <algorithm>
#include <array>

namespace crate {
namespace {

constexpr std::array<const char*, 20> suffixes = {"ing",  "ed",  "ly",  "er", "est", "tion", "ment",
                                                  "ness", "ity", "al",  "ic", "ous", "ive",  "ful",
                                                  "able", "ist", "ism", "s",  "y",   "n"};
constexpr std::array<const char*, 10> prefixes = {"un", "re", "in", "dis", "pre", "con", "inter", "sub", "de", "ex"};

struct Mark {
  char c;
  const char* name;
};
constexpr std::array<Mark, 14> marks = {{{',', "comma"},
                                         {'.', "full stop"},
                                         {';', "semicolon"},
                                         {':', "colon"},
                                         {'?', "question mark"},
                                         {'!', "exclamation mark"},
                                         {'"', "quotation mark"},
                                         {'\'', "apostrophe"},
                                         {'(', "opening bracket"},
                                         {')', "closing bracket"},
                                         {'-', "hyphen"},
                                         {'=', "equals sign"},
                                         {'/', "slash"},
                                         {'%', "per cent"}}};

// Closed classes of English.
struct WordClass {
  const char* name;
  const char* words;
};
constexpr std::array<WordClass, 9> classes = {{
    {"article", " a an the "},
    {"demonstrative", " this that these those "},
    {"personal pronoun", " i you he she it we they me him her us them thou thee ye "},
    {"possessive", " my your his her its our their thy mine whose "},
    {"preposition",
     " in on at by for from to of with as into onto over under about after before between through during "
     "against without within upon among toward towards across behind along near since until "},
    {"conjunction", " and or but nor so yet if because while although though than unless "},
    {"form of be", " be am is are was were been being "},
    {"auxiliary verb", " do does did has have had having will would shall should can could may might must "},
    {"wh-word", " who whom whose which what where when why how "},
}};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

constexpr const char* first_tokens[] = {"first token of the document", "first 8 of the document",
                                        "first 64 of the document"};
constexpr const char* window_tokens[] = {"first token of the window", "first 4 of the window",
                                         "first 16 of the window"};

}  // namespace

// The bytes of a section, and where its tokens lie in them.
struct Features::Text {
  std::string bytes;
  std::vector<std::size_t> begin;  // of each token, and the end
  std::string_view piece(int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    return std::string_view(bytes).substr(begin[at], begin[at + 1] - begin[at]);
  }
  // The run of letters around the last letter of token i; empty when it has none.
  std::pair<std::size_t, std::size_t> word(int64_t i) const {
    std::size_t last = begin[static_cast<std::size_t>(i) + 1];
    const std::size_t first = begin[static_cast<std::size_t>(i)];
    while (last > first && !is_letter(bytes[last - 1])) --last;
    if (last == first) return {first, first};
    std::size_t lo = last, hi = last;
    while (lo > 0 && is_letter(bytes[lo - 1])) --lo;
    while (hi < bytes.size() && is_letter(bytes[hi])) ++hi;
    return {lo, hi};
  }
};

Features::Features(const Tokenizer& tokenizer, std::unique_ptr<Inventory> inventory)
    : tokenizer_(tokenizer), inventory_(std::move(inventory)) {
  const auto add = [&](const std::string& name) {
    numbers_.emplace(name, static_cast<int32_t>(names_.size()));
    names_.push_back(name);
  };
  for (const char* name :
       {"document start", "word", "number", "one digit", "two digits", "year", "punctuation", "space only",
        "line break", "not ASCII", "lower-case word", "Capitalised word", "ALL-CAPS word", "one letter"})
    add(name);
  for (const char* name : {"word of 2-3 letters", "word of 4-6 letters", "word of 7-9 letters",
                           "word of 10 letters or more", "begins a word", "inside a word", "ends a word", "whole word",
                           "begins a sentence", "inside brackets", "inside quotation marks"})
    add(name);
  for (const char* name : first_tokens) add(name);
  for (const char* name : window_tokens) add(name);
  for (const Mark& m : marks) add(m.name);
  for (const char* s : suffixes) add(std::string("word in -") + s);
  for (const char* p : prefixes) add(std::string("word in ") + p + "-");
  for (const WordClass& c : classes) add(c.name);
  after_ = static_cast<int32_t>(names_.size());
  for (int32_t i = 0; i < after_; ++i) add("after: " + names_[static_cast<std::size_t>(i)]);
  for (char c = 'a'; c <= 'z'; ++c) {
    add(std::string("piece in ") + c + "-");
    add(std::string("piece in -") + c);
  }
  // A short inventory is also told of the word before.
  if (const auto& concepts = inventory_->concepts(); concepts.size() <= 64) {
    for (const std::string& c : concepts) add("after: " + c);
    concepts_after_ = concepts.size();
  }
  own_ = static_cast<int32_t>(names_.size());
}

std::string Features::name(int32_t feature) const {
  if (feature < own_) return names_[static_cast<std::size_t>(feature)];
  return inventory_->concepts()[static_cast<std::size_t>(feature - own_)];
}

const Features::WordFeatures& Features::word(std::string_view text) {
  if (const auto it = words_.find(std::string(text)); it != words_.end()) return it->second;
  if (words_.size() > 200000) words_.clear();
  std::string lower(text);
  for (char& c : lower)
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  WordFeatures out;
  const std::size_t n = text.size();
  const auto has = [&](const std::string& name) { out.ids.push_back(number(name)); };
  const auto capitals = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_upper));
  has("word");
  has(capitals == 0 ? "lower-case word" : capitals == n && n > 1 ? "ALL-CAPS word" : "Capitalised word");
  has(n == 1   ? "one letter"
      : n < 4  ? "word of 2-3 letters"
      : n < 7  ? "word of 4-6 letters"
      : n < 10 ? "word of 7-9 letters"
               : "word of 10 letters or more");
  for (const char* s : suffixes)
    if (n > std::string_view(s).size() + 2 && lower.ends_with(s)) has(std::string("word in -") + s);
  for (const char* p : prefixes)
    if (n > std::string_view(p).size() + 2 && lower.starts_with(p)) has(std::string("word in ") + p + "-");
  for (const WordClass& c : classes)
    if (std::string_view(c.words).find(" " + lower + " ") != std::string_view::npos) has(c.name);
  const std::vector<int32_t> concepts = inventory_->of(text);
  const int32_t own_after = number("piece in -z") + 1;
  for (const int32_t c : concepts)
    if (static_cast<std::size_t>(c) < concepts_after_) out.after.push_back(own_after + c);
  for (const int32_t c : concepts) out.ids.push_back(own_ + c);
  return words_.emplace(std::string(text), std::move(out)).first->second;
}

// Of a token without letters.
void Features::shape(std::string_view piece, std::vector<int32_t>& out) const {
  const auto first = piece.find_first_not_of(" \t\r\n");
  if (piece.find('\n') != std::string_view::npos) out.push_back(number("line break"));
  if (first == std::string_view::npos) {
    out.push_back(number("space only"));
    return;
  }
  const std::string_view core = piece.substr(first);
  if (is_digit(core[0])) {
    const auto digits = static_cast<std::size_t>(std::find_if_not(core.begin(), core.end(), is_digit) - core.begin());
    out.push_back(number("number"));
    if (digits == 1) out.push_back(number("one digit"));
    if (digits == 2) out.push_back(number("two digits"));
    if (digits == 4 && (core[0] == '1' || core[0] == '2')) out.push_back(number("year"));
    return;
  }
  out.push_back(number("punctuation"));
  for (const Mark& m : marks)
    if (core.find(m.c) != std::string_view::npos) out.push_back(number(m.name));
}

// First and last letter of the piece, in any case.
void Features::letters_of(std::string_view piece, std::vector<int32_t>& out) const {
  const auto first = std::find_if(piece.begin(), piece.end(), is_letter);
  const auto last = std::find_if(piece.rbegin(), piece.rend(), is_letter);
  const int32_t base = number("piece in a-");
  const auto add = [&](char c, int32_t which) {
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
    if (c >= 'a' && c <= 'z') out.push_back(base + 2 * (c - 'a') + which);
  };
  add(*first, 0);
  add(*last, 1);
}

void Features::place(const Text& text, int64_t i, int64_t in_document, int64_t in_window,
                     std::vector<int32_t>& out) const {
  constexpr int64_t document_limits[] = {1, 8, 64}, window_limits[] = {1, 4, 16};
  for (int k = 0; k < 3; ++k) {
    if (in_document + i < document_limits[k]) out.push_back(number(first_tokens[k]));
    if (in_window + i < window_limits[k]) out.push_back(number(window_tokens[k]));
  }
  const auto [lo, hi] = text.word(i);
  if (lo == hi) return;
  letters_of(text.piece(i), out);
  const std::size_t begin = text.begin[static_cast<std::size_t>(i)], end = text.begin[static_cast<std::size_t>(i) + 1];
  const bool starts = begin <= lo, ends = end >= hi;
  out.push_back(number(starts && ends ? "whole word"
                       : starts       ? "begins a word"
                       : ends         ? "ends a word"
                                      : "inside a word"));
  std::size_t before = lo;
  while (before > 0 && (text.bytes[before - 1] == ' ' || text.bytes[before - 1] == '"')) --before;
  const bool fresh =
      before == 0 ? in_document == 0 : std::string_view(".?!\n").find(text.bytes[before - 1]) != std::string_view::npos;
  if (starts && fresh) out.push_back(number("begins a sentence"));
}

FeatureList Features::of(std::span<const int32_t> tokens, int64_t in_document, int64_t in_window) {
  Text text;
  for (const int32_t t : tokens) {
    text.begin.push_back(text.bytes.size());
    text.bytes += tokenizer_.bytes_of(t);
  }
  text.begin.push_back(text.bytes.size());
  FeatureList out;
  std::vector<int32_t> ids, after, next_after;
  int brackets = 0;
  bool quoted = false;
  for (int64_t i = 0; i < static_cast<int64_t>(tokens.size()); ++i) {
    const std::string_view piece = text.piece(i);
    ids.clear();
    next_after.clear();
    if (tokens[static_cast<std::size_t>(i)] == tokenizer_.separator()) {
      ids.push_back(number("document start"));
    } else if (const auto [lo, hi] = text.word(i); lo < hi) {
      const WordFeatures& w = word(std::string_view(text.bytes).substr(lo, hi - lo));
      ids = w.ids;
      next_after = w.after;
    } else {
      shape(piece, ids);
    }
    if (std::any_of(piece.begin(), piece.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      ids.push_back(number("not ASCII"));
    place(text, i, in_document, in_window, ids);
    for (const char c : piece) {
      if (c == '(') ++brackets;
      if (c == ')' || c == '\n') brackets = 0;
      if (c == '"') quoted = !quoted;
      if (c == '\n') quoted = false;
    }
    if (brackets > 0) ids.push_back(number("inside brackets"));
    if (quoted) ids.push_back(number("inside quotation marks"));
    for (const int32_t f : ids)
      if (f < after_) next_after.push_back(after_ + f);
    ids.insert(ids.end(), after.begin(), after.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.begin.push_back(static_cast<int32_t>(out.ids.size()));
    std::swap(after, next_after);
  }
  return out;
}

}  // namespace crate
