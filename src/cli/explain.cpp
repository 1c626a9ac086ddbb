// crate explain: why this output. What every token, head, atom and bias gave to it, and that it adds up.
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/changes.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "cli/paid.h"
#include "model/checkpoint.h"
#include "work/explain/atom_notes.h"
#include "work/page/explain_page.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, prompt, image, target, contrast, atoms;
  std::vector<std::string> out;
  std::vector<int32_t> prompt_tokens;
  GraphOptions graph;
  ChangeOptions changes;
  int64_t rows = 10;
  bool check = false;
  int64_t checked = 20;
  PaidOptions paid;
};

Input input_of(const Options& o, Device& device) {
  const ModelConfig config = load_config(o.model);
  if (!o.image.empty()) {
    require(o.prompt.empty() && o.prompt_tokens.empty(), "give --image or --prompt, not both");
    return image_input(device, o.model, load_image(o.image), o.image);
  }
  require(!is_image(config.family), "{} reads images: give --image FILE", o.model);
  return text_input(device, o.model,
                    o.prompt_tokens.empty() ? tokenizer_of(o.model)->encode(o.prompt) : o.prompt_tokens);
}

void run(const Options& o) {
  Device device(o.device_options());
  if (!o.paid.file.empty()) {
    PaidOptions paid = o.paid;
    paid.model = o.model;
    paid.rows = o.rows;
    paid.json = o.json;
    return explain_bits(device, paid);
  }
  Input input = input_of(o, device);
  input.change(o.changes.parse());
  const Provenance provenance = provenance_of(o.model, o.device);
  input.index = index_of(o.model, o.atoms);
  if (input.index) name_atoms(input.labels, *input.index, input.model->config().family);
  const Walk walk(*input.subject, {target_of(input, o.target, o.contrast)});
  const ExplainedInput explained = explain_input(walk, input, o.graph, provenance);
  const std::string document = explained.document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::string notes = input.index ? atom_notes(*input.index, explained.document) : "{}";
  for (const std::string& path : o.out)
    write_atomically(path, path.ends_with(".html") ? report_html(document, notes) : document);
  if (o.json) return fmt::print("{}", document), void();
  print_explanation(walk, explained, input.labels, o.rows);
  if (o.check) {
    const auto parts = largest_parts(explained.explanation, o.checked);
    print_ablations(ablate(*input.served, explained.explanation, parts), input.model->config().family);
  }
  for (const std::string& path : o.out) fmt::print("\nwrote {}\n", path);
}

}  // namespace

void add_explain(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "explain", "what every part of a model gave to one output, and that it adds up",
                            "crate explain out/demo-crate-lm --prompt 'ROMEO:' -o romeo.html", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--prompt", o->prompt, "the text whose next token is explained");
  c->add_option("--prompt-tokens", o->prompt_tokens, "token numbers instead of a text, e.g. 5,17,3")->delimiter(',');
  c->add_option("--image", o->image,
                "JPEG, PNG or WebP; --target is then a class, by name or #NUMBER, or a unit, and of an auto-encoder "
                "always a unit");
  c->add_option(
      "--target", o->target,
      "the token explained, as text or #NUMBER (default: the most likely), or a unit, BLOCK.ista.code:PLACE:ATOM "
      "(twins: mlp.hidden): blocks.1.ista.code:5:17 is atom 17 at token 5, or at patch 5, where 0 may be the class "
      "token");
  c->add_option("--contrast", o->contrast, "explain why the target rather than this token");
  c->add_option("-o,--out", o->out,
                "what to write: FILE.html a page that opens offline, else the graph as JSON (repeatable)")
      ->expected(1)
      ->take_all();
  c->add_option("--atoms", o->atoms, "index of crate atoms, for names (default: atoms.sqlite in the model directory)");
  c->add_option("--top", o->graph.top, "heads and atoms considered for the graph")
      ->capture_default_str()
      ->check(not_negative());
  c->add_option("--node-threshold", o->graph.node_threshold, "units are kept until they hold this share of influence")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--edge-threshold", o->graph.edge_threshold, "effects are kept until they hold this share")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--rows", o->rows, "rows a table")->capture_default_str()->check(not_negative());
  c->add_flag("--check", o->check, "set the units that gave most to zero, one at a time, and run the model again");
  c->add_option("--checked", o->checked, "how many units --check takes")->capture_default_str()->check(positive());
  c->add_option("--bits-of", o->paid.file, "of a model of bytes: which parts paid for a byte of this file, in bits");
  c->add_option("--at", o->paid.at, "with --bits-of: which byte, from 0 (default: the last)")->check(not_negative());
  o->changes.add_to(*c);
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
