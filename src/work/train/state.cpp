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

}  // namespace

void put_state(DirectoryWriter& directory, const StateTensors& state_tensors, const Recipe& recipe,
               const TrainProgress& progress, const std::string& data) {
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, value] : state_tensors) tensors.push_back(as_f32(name, value, buffers.emplace_back()));
  directory.tensors("training_state.safetensors", tensors, {{"optimizer", recipe.optimizer.name}});
  const json state = {{"step", progress.step}, {"loss_sum", progress.loss_sum}, {"loss_count", progress.loss_count},
                      {"sums", progress.sums}, {"seed", recipe.train.seed},     {"optimizer", recipe.optimizer.name},
                      {"data", data},          {"threads", thread_count()},     {"recipe", recipe.text}};
  directory.text("training.json", state.dump(2) + "\n");
}

TrainProgress load_state(const DirectoryReader& directory, const StateTensors& tensors, const Recipe& recipe,
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
  require(state.value("data", data) == data,
          "{} was trained on other data than {} holds now ({}, came {}); give another --out, or --force to start over",
          directory.folder(), recipe.data.train, state.value("data", ""), data);
  const SafetensorsFile file = read_safetensors(path);
  for (const auto& [name, value] : tensors) {
    const auto it = file.tensors.find(name);
    require(it != file.tensors.end(), "{} has no {}; does the recipe describe another model?", path, name);
    read_into(value, it->second, path + ": " + name);
  }
  return {state["step"].get<int64_t>(), state.value("loss_sum", 0.0), state.value("loss_count", int64_t{0}),
          state.value("sums", Sums())};
}

}  // namespace crate
