// crate info: what a model is: parameters, configuration, work and memory a token or an image.
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
  double forward_flops, training_flops;  // an image; or a token: the mean over a sequence of the full context
};

Work work_of(const ModelConfig& config) {
  const int64_t n = is_image(config.family) ? 1 : config.context;
  const ModelCost training = training_cost(config, 1, n);
  return {forward_cost(config, 1, n).flops / static_cast<double>(n),
          (training.forward.flops + training.backward.flops) / static_cast<double>(n)};
}

nlohmann::json as_json(const ModelConfig& config, const std::string& hash) {
  const ParameterCount count = count_parameters(config);
  const Work work = work_of(config);
  nlohmann::json tensors = nlohmann::json::object();
  for (const auto& [name, shape, decay] : parameter_shapes(config)) tensors[name] = shape.str();
  nlohmann::json out = {{"family", name_of(config.family)},
                        {"parameters", count.all},
                        {"parameters_without_positions", count.without_positions},
                        {"config", nlohmann::json::parse(to_json(config))},
                        {"weight_bytes", 4 * count.all},
                        {"hash", hash},
                        {"tensors", tensors}};
  const std::string unit = is_image(config.family) ? "image" : "token";
  out["forward_flops_per_" + unit] = work.forward_flops;
  out["training_flops_per_" + unit] = work.training_flops;
  if (!is_image(config.family)) out["cache_bytes_per_token"] = DecodeState::bytes_per_token(config, Dtype::f32);
  return out;
}

void print_text(const ModelConfig& config, const Work& work, double weights) {
  fmt::print("  layers {}, width {}, heads {}, context {}, vocabulary {}\n", config.layers, config.dim, config.heads,
             config.context, config.vocab);
  fmt::print("  a token         {}FLOP forward, {}FLOP training\n", short_number(work.forward_flops),
             short_number(work.training_flops));
  fmt::print("  memory          {}B weights, {} B of cache a token while decoding\n", short_number(weights),
             DecodeState::bytes_per_token(config, Dtype::f32));
}

void print_image(const ModelConfig& config, const Work& work, double weights) {
  const ImageConfig& image = config.image;
  fmt::print("  layers {}, width {}, heads {}{}\n", config.layers, config.dim, config.heads,
             is_autoencoder(config.family)
                 ? fmt::format("; decoder: layers {}, width {}, heads {}", decoder_of(config).layers,
                               decoder_of(config).dim, decoder_of(config).heads)
                 : fmt::format("; {} classes", image.classes));
  fmt::print("  reads           {} x {} x {}, {} patches of {} x {}\n", image.channels, image.height, image.width,
             image.patches(), image.patch, image.patch_columns());
  fmt::print("  an image        {}FLOP forward, {}FLOP training\n", short_number(work.forward_flops),
             short_number(work.training_flops));
  fmt::print("  memory          {}B weights\n", short_number(weights));
}

void run(const Options& o) {
  require(o.model.empty() != o.preset_name.empty(), "give a model directory or --preset NAME (known: {})",
          fmt::join(preset_names(), ", "));
  const ModelConfig config = o.preset_name.empty() ? load_config(o.model) : preset(o.preset_name);
  const std::string hash = o.model.empty() ? "" : DirectoryReader(o.model).hash("model.safetensors");
  if (!o.model.empty()) static_cast<void>(DirectoryReader(o.model).path("model.safetensors"));
  if (o.json) {
    fmt::print("{}\n", as_json(config, hash).dump());
    return;
  }
  const ParameterCount count = count_parameters(config);
  const Work work = work_of(config);
  const double weights = 4.0 * static_cast<double>(count.all);
  fmt::print("{}  {}\n", bold(called(config)), o.preset_name.empty() ? o.model : o.preset_name);
  if (is_image(config.family)) {
    fmt::print("  parameters      {} ({:.2f} M)\n", count.all, 1e-6 * static_cast<double>(count.all));
    print_image(config, work, weights);
  } else {
    fmt::print("  parameters      {} ({:.2f} M without the position table, as papers count)\n", count.all,
               1e-6 * static_cast<double>(count.without_positions));
    print_text(config, work, weights);
  }
  if (!hash.empty()) fmt::print("  sha256          {}\n", hash);
  fmt::print("\n{}\n{:<32} {:>18} {:>12}\n", to_json(config), "tensor", "shape", "numbers");
  for (const auto& [name, shape, decay] : parameter_shapes(config))
    fmt::print("{:<32} {:>18} {:>12}\n", name, shape.str(), shape.numel());
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
