#include "work/report/text.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"

namespace crate {
namespace {

bool is_letter(unsigned char c) { return std::isalpha(c) || c >= 0x80; }

WordClass class_of(const std::string& word, Inventory& supersenses) {
  std::string lower = word;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (is_function_word(lower)) return WordClass::function;
  WordClass found = WordClass::none;
  for (const int32_t concept_number : supersenses.of(word)) {
    const std::string& name = supersenses.concepts()[static_cast<std::size_t>(concept_number)];
    const WordClass c = name.starts_with("noun")   ? WordClass::noun
                        : name.starts_with("verb") ? WordClass::verb
                        : name.starts_with("adj")  ? WordClass::adjective
                                                   : WordClass::adverb;
    if (found != WordClass::none && found != c) return WordClass::none;
    found = c;
  }
  return found;
}

}  // namespace

std::vector<Window> windows_of(const AtomCorpus& corpus, int64_t length, int64_t tokens) {
  std::vector<std::pair<int64_t, int64_t>> found;  // begin, document
  for (int64_t doc = 0; doc < corpus.documents(); ++doc) {
    for (int64_t at = corpus.begin_of(doc); at + length <= corpus.end_of(doc); at += length)
      found.emplace_back(at, doc);
  }
  require(!found.empty(), "[report] {} has no document of {} tokens; give a text with longer documents", corpus.name(),
          length);
  const auto most = std::max<std::size_t>(2, static_cast<std::size_t>(tokens / length));
  std::vector<Window> out;
  for (std::size_t i = 0; i < std::min(most, found.size()); ++i) {
    const auto& [begin, doc] = found[found.size() <= most ? i : i * found.size() / most];
    out.push_back({corpus.read(begin, begin + length), doc, is_held_out(doc)});
  }
  return out;
}

const char* name_of(WordClass c) {
  constexpr const char* names[] = {"noun", "verb", "adjective", "adverb", "function word"};
  return c == WordClass::none ? "none" : names[static_cast<int>(c)];
}

std::vector<WordClass> word_classes_of(const std::vector<int32_t>& tokens, const Tokenizer& tokenizer,
                                       Inventory& supersenses) {
  std::vector<WordClass> out(tokens.size(), WordClass::none);
  std::string word;
  bool whole = false;  // does `word` begin where the text shows that a word begins?
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view bytes = tokenizer.bytes_of(tokens[i]);
    if (bytes.empty()) word.clear(), whole = true;
    for (const char c : bytes) {
      if (is_letter(static_cast<unsigned char>(c)))
        word += c;
      else
        word.clear(), whole = true;
    }
    const std::string_view next = i + 1 < tokens.size() ? tokenizer.bytes_of(tokens[i + 1]) : "x";
    const bool goes_on = !next.empty() && is_letter(static_cast<unsigned char>(next[0]));
    if (!word.empty() && whole && !goes_on) out[i] = class_of(word, supersenses);
  }
  return out;
}

std::vector<Place> draw_places(const std::vector<Window>& windows, const std::vector<std::vector<WordClass>>& classes,
                               bool held_out, int64_t each, uint64_t seed) {
  const Rng rng(seed, Stream::sample);
  std::vector<Place> out;
  for (int c = 0; c < word_classes; ++c) {
    std::vector<std::pair<uint64_t, Place>> drawn;
    for (std::size_t w = 0; w < windows.size(); ++w) {
      if (windows[w].held_out != held_out) continue;
      for (std::size_t i = 0; i < classes[w].size(); ++i) {
        if (classes[w][i] == static_cast<WordClass>(c))
          drawn.emplace_back(rng.bits(21, w << 20 | i),
                             Place{static_cast<int32_t>(w), static_cast<int32_t>(i), static_cast<WordClass>(c)});
      }
    }
    const auto n = std::min(drawn.size(), static_cast<std::size_t>(each));
    std::partial_sort(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(n), drawn.end(),
                      [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < n; ++i) out.push_back(drawn[i].second);
  }
  std::sort(out.begin(), out.end(), [](const Place& a, const Place& b) {
    return std::pair(a.window, a.position) < std::pair(b.window, b.position);
  });
  return out;
}

std::vector<LabelledText> read_labelled(const std::string& path, const Tokenizer& tokenizer, int64_t limit) {
  std::istringstream in(read_text_file(path));
  std::vector<LabelledText> out;
  std::string line;
  std::getline(in, line);  // the heading
  for (int64_t number = 2; std::getline(in, line) && static_cast<int64_t>(out.size()) < limit; ++number) {
    const std::size_t tab = line.rfind('\t');
    const std::string label = tab == std::string::npos ? "" : line.substr(tab + 1);
    require(label == "0" || label == "1", "{}: line {} is not 'sentence<TAB>0 or 1'", path, number);
    LabelledText text{{tokenizer.separator()}, static_cast<uint8_t>(label == "1")};
    tokenizer.encode(std::string_view(line).substr(0, tab), text.tokens);
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace crate
