// metrics: what a training run writes down while it goes: metrics.jsonl, one object a line, and the same numbers as an
// event file for TensorBoard ("val_loss" is its "val/loss", what has no such prefix is "train/...").
#pragma once
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "work/train/event_file.h"

namespace crate {

class Metrics {
 public:
  /// Begins anew in the folder.
  explicit Metrics(const std::string& folder) : Metrics(folder, std::string()) {}
  /// Goes on after `step`: lines a run wrote later, before it was cut short, go. A finished run validates once more
  /// when it is resumed: then the last validation goes too.
  static Metrics after(const std::string& folder, int64_t step, bool finished);

  /// A line; gets the time of day as "time". Throws Error when it cannot be written.
  void write(nlohmann::json line);

 private:
  Metrics(const std::string& folder, const std::string& kept);
  void tell(const nlohmann::json& line);
  std::string folder_;
  std::ofstream lines_;
  std::unique_ptr<EventFile> events_;
};

}  // namespace crate
