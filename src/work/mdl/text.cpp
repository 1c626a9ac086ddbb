#include "work/mdl/text.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "work/data/reader.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

// Of src/work/compress: what only learns, mixes or rounds is not needed to decode under a model.
constexpr std::string_view learns[] = {"error_feedback", "lockstep", "mix", "online", "tune"};

bool decodes(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!name.ends_with(".h") && !name.ends_with(".cpp")) return false;
  if (name.ends_with("_test.cpp")) return false;
  return std::none_of(std::begin(learns), std::end(learns), [&](std::string_view s) { return name.starts_with(s); });
}

}  // namespace

std::string training_text(const DataRecipe& data) {
  std::string text;
  for (const std::string& file : list_files(data.train))
    read_bytes(file, [&](std::string_view piece, uint64_t) { text += piece; });
  if (data.val.empty())
    text.resize(static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - data.val_fraction)));
  require(!text.empty(), "[mdl] {} holds no text", data.train);
  return text;
}

std::string spread_sample(const std::string& text, int64_t bytes) {
  constexpr int64_t pieces = 8;
  const auto n = static_cast<int64_t>(text.size());
  if (n <= bytes) return text;
  std::string out;
  const int64_t each = bytes / pieces;
  for (int64_t p = 0; p < pieces; ++p)
    out += text.substr(static_cast<std::size_t>((n - each) * p / (pieces - 1)), static_cast<std::size_t>(each));
  return out;
}

int64_t decoder_source_bytes(const std::string& source) {
  const fs::path folder = fs::path(source) / "work" / "compress";
  if (source.empty() || !fs::is_directory(folder)) return 0;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (decodes(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files) all += read_text_file(file.string());
  uLongf size = compressBound(all.size());
  std::vector<Bytef> packed(size);
  require(compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(all.data()), all.size(), 9) == Z_OK,
          "cannot deflate the source in {}", folder.string());
  return static_cast<int64_t>(size);
}

Curve curve_of(const std::string& metrics, int64_t bytes) {
  std::vector<std::pair<double, double>> log{{0, std::log2(257)}};  // (bytes so far, bits a byte)
  std::istringstream in(metrics);
  for (std::string line; std::getline(in, line);) {
    const auto at = nlohmann::json::parse(line, nullptr, false);
    if (!at.is_object() || !at.contains("loss") || !at.contains("tokens")) continue;
    log.emplace_back(at["tokens"].get<double>(), at["loss"].get<double>() / std::numbers::ln2);
  }
  if (log.size() < 2) return {};
  // The end: the mean of the last tenth of the log, for a single batch says little.
  const std::size_t last = std::max<std::size_t>(1, (log.size() - 1) / 10);
  double end = 0;
  for (std::size_t i = log.size() - last; i < log.size(); ++i) end += log[i].second / static_cast<double>(last);
  Curve out;
  double done = 0;
  for (std::size_t i = 1; i < log.size() && done < static_cast<double>(bytes); ++i) {
    const double now = std::min(log[i].first, static_cast<double>(bytes)),
                 mean = (log[i - 1].second + log[i].second) / 2;
    out.prequential += (now - done) * mean;
    out.above_end += (now - done) * (mean - end);
    done = now;
  }
  out.prequential += (static_cast<double>(bytes) - done) * end;
  return out;
}

}  // namespace crate
