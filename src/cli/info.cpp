// crate info: what a model is: parameters, configuration, work and memory a token.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "model/cost.h"
#include "model/presets.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, preset_name;
  bool tensors = false;
};

struct Work {
  double forward_flops, training_flops;  // a token: the mean over a sequence of the full context
};

Work work_of(const ModelConfig& config) {
  const auto n = static_cast<double>(config.context);
  const ModelCost training = training_cost(config, 1, config.context);
  return {forward_cost(config, 1, config.context).flops / n, (training.forward.flops + training.backward.flops) / n};
}

void run(const Options& o) {
  require(o.model.empty() != o.preset_name.empty(), "give a model directory or --preset NAME (known: {})",
          fmt::join(preset_names(), ", "));
  const ModelConfig config = o.preset_name.empty() ? load_config(o.model) : preset(o.preset_name);
  Device device;
  const LanguageModel model(device, config);
  const std::string hash = o.model.empty() ? "" : DirectoryReader(o.model).hash("model.safetensors");
  if (!o.model.empty()) static_cast<void>(DirectoryReader(o.model).path("model.safetensors"));
  const Work work = work_of(config);
  const int64_t cache = DecodeState::bytes_per_token(config, Dtype::f32);
  if (o.json) {
    nlohmann::json tensors = nlohmann::json::object();
    for (const Param& p : model.store().all()) tensors[p.name] = p.value.shape.str();
    const nlohmann::json out = {{"family", name_of(config.family)},
                                {"parameters", model.parameters()},
                                {"parameters_without_positions", model.parameters_without_positions()},
                                {"config", nlohmann::json::parse(to_json(config))},
                                {"forward_flops_per_token", work.forward_flops},
                                {"training_flops_per_token", work.training_flops},
                                {"weight_bytes", 4 * model.parameters()},
                                {"cache_bytes_per_token", cache},
                                {"hash", hash},
                                {"tensors", tensors}};
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}  {}\n", bold(name_of(config.family)), o.preset_name.empty() ? o.model : o.preset_name);
  fmt::print("  parameters      {} ({:.2f} M without the position table, as papers count)\n", model.parameters(),
             1e-6 * static_cast<double>(model.parameters_without_positions()));
  fmt::print("  layers {}, width {}, heads {}, context {}, vocabulary {}\n", config.layers, config.dim, config.heads,
             config.context, config.vocab);
  fmt::print("  a token         {}FLOP forward, {}FLOP training\n", short_number(work.forward_flops),
             short_number(work.training_flops));
  fmt::print("  memory          {}B weights, {} B of cache a token while decoding\n",
             short_number(4.0 * static_cast<double>(model.parameters())), cache);
  if (!hash.empty()) fmt::print("  sha256          {}\n", hash);
  fmt::print("\n{}\n{:<32} {:>18} {:>12}\n", to_json(config), "tensor", "shape", "numbers");
  for (const Param& p : model.store().all())
    fmt::print("{:<32} {:>18} {:>12}\n", p.name, p.value.shape.str(), p.value.numel());
}

}  // namespace

void add_info(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "info", "parameters, configuration, work and memory of a model",
                            "crate info --preset crate-lm-12l", *o);
  c->add_option("model", o->model, "model directory");
  c->add_option("--preset", o->preset_name, "a size by name instead of a directory");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
