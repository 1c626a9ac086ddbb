#include "work/train/state.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/sha256.h"

namespace crate {
namespace {

using nlohmann::json;

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

}  // namespace

std::string identity_of(const Tokens& corpus) {
  constexpr int64_t pieces = 256, longest = 256;
  const int64_t length = std::min(longest, corpus.size());
  std::vector<int32_t> piece(static_cast<std::size_t>(length));
  Sha256 hash;
  for (int64_t i = 0; i < pieces && length > 0; ++i) {
    corpus.copy((corpus.size() - length) * i / (pieces - 1), length, piece.data());
    hash.update(std::as_bytes(std::span(piece)));
  }
  return fmt::format("{} tokens, {}", corpus.size(), hash.hex());
}

void put_state(DirectoryWriter& directory, const Optimizer& optimizer, const Recipe& recipe,
               const TrainProgress& progress, const std::string& data) {
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const auto& moment : optimizer.moments())
    tensors.push_back(as_f32(moment.name, moment.value, buffers.emplace_back()));
  directory.tensors("training_state.safetensors", tensors, {{"optimizer", optimizer.name()}});
  const json state = {{"step", progress.step},
                      {"loss_sum", progress.loss_sum},
                      {"loss_count", progress.loss_count},
                      {"bytes", progress.bytes},
                      {"seed", recipe.train.seed},
                      {"optimizer", optimizer.name()},
                      {"data", data},
                      {"threads", thread_count()},
                      {"recipe", recipe.text}};
  directory.text("training.json", state.dump(2) + "\n");
}

TrainProgress load_state(const DirectoryReader& directory, Optimizer& optimizer, const Recipe& recipe,
                         const std::string& data) {
  require(directory.has("training.json"),
          "{} holds a model but no training state to resume from; give another --out, or --force to start over",
          directory.folder());
  const std::string json_path = directory.path("training.json"), path = directory.path("training_state.safetensors");
  const json state = json::parse(read_text_file(json_path), nullptr, false);
  require(state.is_object() && state.contains("step"), "{} is damaged; restore it from a copy, or train again",
          json_path);
  require(state.value("optimizer", "") == recipe.optimizer.name, "{} was trained with {}, the recipe asks for {}",
          directory.folder(), state.value("optimizer", ""), recipe.optimizer.name);
  require(state.value("seed", uint64_t{0}) == recipe.train.seed, "{} was trained with seed {}, the recipe asks for {}",
          directory.folder(), state.value("seed", uint64_t{0}), recipe.train.seed);
  require(
      state.value("data", data) == data,
      "{} was trained on another text than {} holds now ({}, came {}); give another --out, or --force to start over",
      directory.folder(), recipe.data.train, state.value("data", ""), data);
  const SafetensorsFile file = read_safetensors(path);
  for (const auto& moment : optimizer.moments()) {
    const auto it = file.tensors.find(moment.name);
    require(it != file.tensors.end(), "{} has no moments {}; does the recipe describe another model?", path,
            moment.name);
    read_into(moment.value, it->second, path + ": " + moment.name);
  }
  return {state["step"].get<int64_t>(), state.value("loss_sum", 0.0), state.value("loss_count", int64_t{0}),
          state.value("bytes", int64_t{0})};
}

void truncate_metrics(const std::string& folder, int64_t step, bool finished) {
  const std::string path = (std::filesystem::path(folder) / "metrics.jsonl").string();
  if (std::filesystem::exists(path)) write_atomically(path, lines_up_to(read_text_file(path), step, finished));
}

}  // namespace crate
