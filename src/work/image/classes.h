// classes: which number a class has.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "work/image/set.h"

namespace crate {

/// Lines "id<TAB>name", "number<TAB>id<TAB>name" with the line's own number, or "name". Throws Error naming `where`
/// when a class is listed twice or nothing is listed.
std::vector<ImageClass> parse_classes(const std::string& text, const std::string& where);

/// Numbers for the classes of one source.
class ClassNumbers {
 public:
  /// `listed`: those of the source in its order; `wanted`: those of ImageSource::classes, which decide when given.
  ClassNumbers(std::vector<ImageClass> listed, const std::vector<std::string>& wanted);
  /// Throws Error naming `where` when nobody knows the class.
  int number(const std::string& id, const std::string& where) const;
  const std::vector<ImageClass>& classes() const { return classes_; }

 private:
  std::vector<ImageClass> classes_;
  std::unordered_map<std::string, int> number_;
};

}  // namespace crate
