// crate export: a model in the authors' names and layouts.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "model/import.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, family, out;
};

void run(const Options& o) {
  Device device;
  const auto model = load_model(device, o.model);
  require(family_of(o.family) == model->config().family, "{} is a {} and cannot be written as {}", o.model,
          name_of(model->config().family), o.family);
  export_model(*model, o.out);
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"out", o.out}, {"parameters", model->parameters()}}.dump());
  else
    fmt::print("{} parameters in {}\n", model->parameters(), o.out);
}

}  // namespace

void add_export(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "export", "write a model for the authors' code",
                            "crate export out/m --as crate-lm -o crate_lm.pth", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--as", o->family, "the family, as its authors name tensors")->required();
  c->add_option("-o,--out", o->out, ".pth for torch.load, else safetensors")->required();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
