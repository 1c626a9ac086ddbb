#include "work/image/classes.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/nearest.h"

namespace crate {
namespace {

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::istringstream in(line);
  for (std::string column; std::getline(in, column, '\t');) columns.push_back(column);
  return columns;
}

}  // namespace

std::vector<ImageClass> parse_classes(const std::string& text, const std::string& where) {
  std::vector<ImageClass> classes;
  std::unordered_map<std::string, std::size_t> seen;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    std::vector<std::string> columns = columns_of(line);
    if (columns.size() > 1 && columns[0] == std::to_string(classes.size())) columns.erase(columns.begin());
    require(!columns.empty() && !columns[0].empty(), "{}: line {} names no class", where, classes.size() + 1);
    require(seen.emplace(columns[0], classes.size()).second, "{}: class {} is listed twice", where, columns[0]);
    classes.push_back({columns[0], columns.size() > 1 && !columns[1].empty() ? columns[1] : columns[0]});
  }
  require(!classes.empty(), "{} lists no classes", where);
  return classes;
}

ClassNumbers::ClassNumbers(std::vector<ImageClass> listed, const std::vector<std::string>& wanted)
    : classes_(std::move(listed)) {
  if (wanted.empty()) {
    for (std::size_t i = 0; i < classes_.size(); ++i) number_.emplace(classes_[i].id, static_cast<int>(i));
    return;
  }
  std::vector<ImageClass> chosen;
  for (const std::string& word : wanted) {
    const int number = static_cast<int>(chosen.size());
    chosen.push_back({word, word});
    number_.emplace(word, number);
    for (const ImageClass& c : classes_) {
      if (c.id != word && c.name != word) continue;
      chosen.back() = c;
      number_.emplace(c.id, number);
    }
  }
  classes_ = std::move(chosen);
}

int ClassNumbers::number(const std::string& id, const std::string& where) const {
  const auto found = number_.find(id);
  if (found != number_.end()) return found->second;
  std::vector<std::string> known;
  for (const ImageClass& c : classes_) known.push_back(c.id);
  fail("{}: class {} is not one of the {} known ones (nearest: {})", where, id, known.size(), nearest(id, known));
}

}  // namespace crate
