// crate edit: a model with atoms removed, scaled or rewritten, and the way back.
#include "work/steer/edit.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "model/checkpoint.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, out;
  std::vector<std::string> remove, scale, set;
  bool undo = false, force = false;
};

double length_of(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

// The row of the head that raises one token, at the length the atom's own row has.
std::vector<float> token_row(const Options& o, const std::string& text, const std::vector<float>& old) {
  const auto tokens = tokenizer_of(o.model)->encode(text);
  require(tokens.size() == 1, "'{}' is {} tokens; expected one", text, tokens.size());
  Device device;
  const auto model = load_language_model(device, o.model);
  const Param& head = model->store().at(model->config().tied_head ? "embed.tokens" : "head.weight");
  const float* from = head.value.as<float>() + tokens[0] * head.value.cols();
  std::vector<float> row(from, from + head.value.cols());
  const double factor = length_of(old) / length_of(row);
  for (float& x : row) x = static_cast<float>(x * factor);
  return row;
}

std::vector<float> row_from(const Options& o, const std::string& source, const AtomEdit& edit) {
  constexpr std::string_view token = "token:";
  const std::vector<float> old = written_row(o.model, edit.site, edit.atoms.front().from);
  if (source.starts_with(token)) return token_row(o, source.substr(token.size()), old);
  std::istringstream in(read_text_file(source));
  std::vector<float> row;
  for (float x = 0; in >> x;) row.push_back(x);
  require(in.eof(), "{}: expected numbers separated by spaces", source);
  require(row.size() == old.size(), "{}: expected {} numbers, came {}", source, old.size(), row.size());
  return row;
}

std::vector<AtomEdit> edits_of(const Options& o) {
  std::vector<AtomEdit> out;
  const auto add = [&](const std::string& text, AtomEdit::Kind kind, double factor, const Intervention& target) {
    require(target.positions.empty(), "'{}': an edit changes an atom everywhere, not at positions", text);
    out.push_back({kind, target.site, target.atoms, factor, {}});
  };
  for (const std::string& text : o.remove) add(text, AtomEdit::Kind::remove, 1, parse_ablation(text));
  for (const std::string& text : o.scale) {
    const Intervention target = parse_intervention(Change::scale, text);
    add(text, AtomEdit::Kind::scale, target.value, target);
  }
  for (const std::string& text : o.set) {
    const auto equals = text.find('=');
    require(equals != std::string::npos, "'{}': expected SITE:ATOM=FILE or SITE:ATOM=token:TEXT", text);
    add(text, AtomEdit::Kind::set, 1, parse_ablation(text.substr(0, equals)));
    out.back().row = row_from(o, text.substr(equals + 1), out.back());
  }
  return out;
}

void run(const Options& o) {
  const std::vector<AtomEdit> edits = edits_of(o);
  require(o.undo == edits.empty(), "give --remove-atom, --scale-atom or --set-row, or --undo alone");
  require(o.force || !is_complete_directory(o.out), "{} holds a model already; give --force to replace it", o.out);
  const EditSummary s = o.undo ? undo_edit(o.model, o.out) : edit_model(o.model, edits, o.out);
  const std::string &from = o.undo ? s.result : s.base, &to = o.undo ? s.base : s.result;
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"out", o.out}, {"from", from}, {"to", to}, {"touched", s.touched}}.dump());
    return;
  }
  for (const std::string& slice : s.touched) fmt::print("  {} {}\n", o.undo ? "restored" : "changed", slice);
  fmt::print("{}: weights {:.12} -> {:.12}\n", o.out, from, to);
}

}  // namespace

void add_edit(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "edit", "remove, scale or rewrite atoms of a model; the change can be undone",
                            "crate edit out/demo-crate-lm --remove-atom blocks.1.ista.code:7 -o out/without", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--remove-atom", o->remove, "SITE:ATOMS: the code is 0 for every input (repeatable)")
      ->expected(1)
      ->take_all();
  c->add_option("--scale-atom", o->scale,
                "SITE:ATOMS=F: what it writes (tied dictionaries: also what finds it) times F")
      ->expected(1)
      ->take_all();
  c->add_option("--set-row", o->set,
                "SITE:ATOM=FILE, a text file of numbers, or SITE:ATOM=token:TEXT, the direction that raises a token")
      ->expected(1)
      ->take_all();
  c->add_flag("--undo", o->undo, "take the last edit back");
  c->add_flag("--force", o->force, "replace the model that --out holds");
  c->add_option("-o,--out", o->out, "model directory to write")->required();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
