// crate import: the authors' checkpoints to model directories.
#include "model/import.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "model/checkpoint.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string source, family, out, tokenizer;
  std::vector<std::string> config;
};

void add_config(const std::string& given, OfficialConfig& config) {
  const std::size_t equals = given.find('=');
  if (equals != std::string::npos) {
    config[given.substr(0, equals)] = given.substr(equals + 1);
    return;
  }
  const nlohmann::json file = nlohmann::json::parse(read_text_file(given), nullptr, false);
  require(file.is_object(), "--config {}: expected k=v or a file with a JSON object", given);
  for (const auto& [key, value] : file.items()) config[key] = value.dump();
}

void run(const Options& o) {
  const Family family = family_of(o.family);
  OfficialModel source = read_official(o.source);
  for (const std::string& given : o.config) add_config(given, source.config);
  Device device;
  const auto model = import_model(device, family, std::move(source));
  std::map<std::string, std::string> extra;
  if (!o.tokenizer.empty()) {
    if (const std::string json = load_tokenizer(o.tokenizer)->to_json(); !json.empty()) extra["tokenizer.json"] = json;
  }
  save_model(o.out, *model, extra);
  if (o.json)
    fmt::print(
        "{}\n",
        nlohmann::json{{"model", o.out}, {"family", name_of(family)}, {"parameters", model->parameters()}}.dump());
  else
    fmt::print("{} with {} parameters in {}\n", name_of(family), model->parameters(), o.out);
}

}  // namespace

void add_import(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "import", "read a checkpoint of the authors' code",
                            "crate import ckpt.pth --family crate-lm --config n_head=12 -o out/crate-lm", *o);
  c->add_option("source", o->source, ".safetensors, .pth, .pt or .pth.tar")->required();
  c->add_option("--family", o->family, family_names())->required();
  c->add_option("--config", o->config,
                "n_head=12 (images: heads=12), eta=0.1, ... as the authors spell them, or a JSON file (repeatable)");
  c->add_option("--tokenizer", o->tokenizer, "a tokenizer.json or a folder to keep with the model");
  c->add_option("-o,--out", o->out, "model directory to write")->required();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
