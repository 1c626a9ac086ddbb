// model_row: a trained model as a program: rounded at several widths, the sample coded under each and decoded again.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "work/mdl/mdl.h"

namespace crate {

/// Measurements of a folder, each made once: KEY.json.
class Measured {
 public:
  explicit Measured(std::string folder);
  nlohmann::json once(const std::string& key, const std::function<nlohmann::json()>& make) const;

 private:
  std::string folder_;
};

/// What models are measured on.
struct ModelBench {
  std::string crate;     // the command
  std::string folder;    // for what is written
  std::string sample;    // file
  std::string little;    // a shorter file, decoded with every instruction set
  std::string listened;  // text that rounding listens to
  int64_t bytes = 0;     // of the whole text
  std::vector<int> widths;
  const Measured* measured = nullptr;
  std::function<void(const std::string&)> doing = {};
};

/// `directory`: of the model; `name`: of its files and measurements. Held-out text, training and sizing are the
/// caller's to add. Throws Error.
LengthRow model_row(const ModelBench& bench, const std::string& name, const std::string& directory);

}  // namespace crate
