#include "work/train/metrics.h"

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace crate {
namespace {

using nlohmann::json;

double time_of_day() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string path_in(const std::string& folder) { return (std::filesystem::path(folder) / "metrics.jsonl").string(); }

std::string lines_up_to(const std::string& text, int64_t step, bool finished) {
  std::string kept;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // a half-written line
    const json line = json::parse(text.substr(at, end - at), nullptr, false);
    const int64_t at_step = line.is_object() ? line.value("step", int64_t{0}) : step + 1;
    const bool again = finished && at_step == step && line.contains("val_loss");
    if (at_step <= step && !again) kept += text.substr(at, end - at + 1);
    at = end + 1;
  }
  return kept;
}

std::string tag_of(const std::string& key) {
  for (const char* group : {"val", "ema"}) {
    if (key.starts_with(std::string(group) + "_")) return std::string(group) + "/" + key.substr(4);
  }
  return "train/" + key;
}

}  // namespace

Metrics::Metrics(const std::string& folder, const std::string& kept)
    : folder_(folder), events_(std::make_unique<EventFile>(folder, static_cast<int64_t>(time_of_day()))) {
  write_atomically(path_in(folder), kept);
  lines_.open(path_in(folder), std::ios::app);
  for (std::size_t at = 0, end = 0; (end = kept.find('\n', at)) != std::string::npos; at = end + 1)
    tell(json::parse(kept.substr(at, end - at)));
}

Metrics Metrics::after(const std::string& folder, int64_t step, bool finished) {
  const std::string path = path_in(folder);
  return {folder, std::filesystem::exists(path) ? lines_up_to(read_text_file(path), step, finished) : ""};
}

void Metrics::write(json line) {
  line["time"] = time_of_day();
  lines_ << line.dump() << std::endl;
  require(lines_.good(), "cannot write {}/metrics.jsonl: free some space, then continue with --resume", folder_);
  tell(line);
}

void Metrics::tell(const json& line) {
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [key, value] : line.items()) {
    if (key == "step" || key == "time") continue;
    if (value.is_number()) values.emplace_back(tag_of(key), value.get<double>());
    if (!value.is_array()) continue;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i].is_number()) values.emplace_back(fmt::format("{}/{}", tag_of(key), i), value[i].get<double>());
    }
  }
  events_->scalars(line.value("time", 0.0), line.value("step", int64_t{0}), values);
}

}  // namespace crate
