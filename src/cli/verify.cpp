// crate verify: does a recorded explanation hold? Exit code 1 when a number or text of it does not.
#include "work/explain/verify.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "model/checkpoint.h"
#include "work/explain/graph_file.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string file, model;
};

void run(const Options& o) {
  const MappedFile mapped(o.file);
  const auto bytes = mapped.bytes();
  const GraphFile file = parse_graph_file({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, o.file);
  const Provenance provenance = provenance_of(o.model, file.device);
  require(provenance.weights_hash == file.weights_hash && provenance.config_hash == file.config_hash,
          "{} explains another model: weights {:.12} and configuration {:.12}, but {} has {:.12} and {:.12}", o.file,
          file.weights_hash, file.config_hash, o.model, provenance.weights_hash, provenance.config_hash);
  Device device({.kind = device_kind(file.device)});
  const Family family = load_config(o.model).family;
  require(family == file.family, "{} explains a {}, but {} is a {}", o.file, name_of(file.family), o.model,
          name_of(family));
  Input input = is_image(file.family) ? image_input(device, o.model, file.image, file.image_name)
                                      : text_input(device, o.model, file.tokens);
  input.change(file.changes);
  Target target = file.target;
  if (target.is_unit) target.unit = unit_of(file.target_unit, file.family);
  const Walk walk(*input.subject, {target});
  const ExplainedInput again = explain_input(walk, input, file.options, provenance);
  const Tolerance tolerance{1e-9, 1e-11, device.kind() == DeviceKind::ref ? 0 : 1e-4};
  const Verification v = compare_graphs(file.document, again.document, tolerance);
  if (o.json) {
    const nlohmann::json out = {{"holds", v.differences.empty()},
                                {"numbers", v.numbers},
                                {"texts", v.texts},
                                {"differences", v.differences},
                                {"residual", again.explanation.residual()}};
    fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  require(v.differences.empty(), "{} does not hold: {}{}", o.file, v.differences.empty() ? "" : v.differences[0],
          v.differences.size() < 2 ? "" : fmt::format(" (and {} more)", v.differences.size() - 1));
  if (!o.json)
    fmt::print("{} holds: {} numbers and {} texts computed again on {}, residual {:.1e}\n", o.file, v.numbers, v.texts,
               file.device, again.explanation.residual());
}

}  // namespace

void add_verify(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "verify", "compute a recorded explanation again; fails when it does not hold",
                            "crate verify romeo.json out/demo-crate-lm", *o);
  c->add_option("file", o->file, "what crate explain -o wrote")->required();
  c->add_option("model", o->model, "the model directory that it explains")->required();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
