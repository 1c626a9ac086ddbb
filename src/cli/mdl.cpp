// crate mdl: how long the programs are that print a text.
#include "work/mdl/mdl.h"

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"

namespace crate::cli {
namespace {

namespace fs = std::filesystem;

struct Options : Common {
  std::string recipe, out, source = "src";
  std::vector<std::string> set;
  bool force = false;
};

// "-" for what a row does not have.
std::string or_dash(double value, int digits) { return value != 0 ? fmt::format("{:.{}f}", value, digits) : "-"; }

void print_lengths(const LengthTable& t) {
  const auto a_byte = [&](double bits) { return or_dash(bits / static_cast<double>(t.bytes), 4); };
  fmt::print("\nbits, of a text of {} bytes ({} bits raw); models coded {} bytes from all over it\n", t.bytes,
             8 * t.bytes, t.sample);
  fmt::print("{:<17} {:<33} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>10} {:>8}\n", "program", "", "data", "fp16",
             "int8", "best", "two-part", "a byte", "prequent.", "held out");
  for (const LengthRow& r : t.rows) {
    const ModelLength none, &m = r.model ? *r.model : none;
    fmt::print("{:<17} {:<33} {:>10.0f} {:>10} {:>10} {:>10} {:>10.0f} {:>8} {:>10} {:>8}\n", r.name, r.note,
               r.data_bits, or_dash(m.fp16_bits, 0), or_dash(m.int8_bits, 0), or_dash(m.best_bits, 0),
               r.two_part_bits(), a_byte(r.two_part_bits()), or_dash(m.prequential_bits, 0), or_dash(m.held_out, 4));
  }
}

void print_models(const LengthTable& t) {
  fmt::print("\n{:<17} {:<33} {:>9} {:>4} {:>4} {:>10} {:>9} {:>10} {:>10} {:>9} {:>9}\n", "model", "", "family", "dim",
             "L", "parameters", "FLOP/byte", "bits/wt.", "model bits", "saved/bit", "zeros a/w");
  for (const LengthRow& r : t.rows) {
    if (!r.model) continue;
    const ModelLength& m = *r.model;
    fmt::print("{:<17} {:<33} {:>9} {:>4} {:>4} {:>10.0f} {:>9} {:>10} {:>10} {:>9} {:>9}\n", r.name, r.note, m.family,
               m.dim, m.layers, m.parameters, short_number(m.flops_a_byte),
               fmt::format("{:.2f} of {}", m.best_bits / m.parameters, m.best), or_dash(m.curve_bits, 0),
               or_dash(t.saved(r), 3), fmt::format("{:.0f}/{:.0f} %", 100 * m.zero_codes, 100 * m.zero_weights));
  }
}

void print_running(const LengthTable& t) {
  fmt::print("\n{:<17} {:<33} {:>12} {:>12} {:>10}   {}\n", "program", "", "KB/s coding", "decoding", "peak MB",
             "gave the same bytes on");
  for (const LengthRow& r : t.rows) {
    if (r.encode_speed <= 0) continue;
    fmt::print("{:<17} {:<33} {:>12.1f} {:>12.1f} {:>10.1f}   {}\n", r.name, r.note, r.encode_speed / 1e3,
               r.decode_speed / 1e3, static_cast<double>(r.memory) / 1e6, r.exact);
  }
}

void print(const LengthTable& t, const std::string& out) {
  print_lengths(t);
  print_models(t);
  print_running(t);
  fmt::print("\nbeside these: source that decodes under a model, zipped: {} bytes (not counted above)\n",
             t.decoder_bytes > 0 ? std::to_string(t.decoder_bytes) : "not at hand, give --source");
  fmt::print(
      "KB/s: of processor time, one stream. Prequential and model bits are read off the training log; what is "
      "coded is integers, alike on every machine.\n");
  for (const std::string& s : t.skipped) fmt::print("skipped {}\n", s);
  fmt::print("numbers in {}/lengths.json, total against length in {}/lengths.svg\n", out, out);
}

void run(const Options& o) {
  require(o.device == "cpu", "crate mdl trains on --device cpu, came {}", o.device);
  const Interrupt interrupt;
  const LengthPlan plan = load_length_plan(o.recipe, o.set);
  LengthOptions options;
  options.out = o.out.empty() ? "out/" + fs::path(o.recipe).stem().string() : o.out;
  options.crate = fs::read_symlink("/proc/self/exe").string();
  options.source = fs::is_directory(o.source) ? o.source : "";
  options.training.force = o.force;
  options.training.stop = &interrupt.requested();
  if (o.force) fs::remove_all(options.out + "/measured");
  Progress progress;
  if (!o.json) {
    options.doing = [&](const std::string& what) { progress.show(what); };
    options.training.step = [&](const CompareProgress& p, const StepReport& r) {
      progress.show(fmt::format("[{}] training {} of {}: {}  step {}/{}  loss {:.4f}", bar(p.done, 20), p.number,
                                p.runs, p.run, r.step, r.steps, r.loss));
    };
  }
  const LengthTable table = measure_lengths(plan, options);
  progress.clear();
  if (o.json)
    fmt::print("{}\n", to_json(table));
  else if (table.stopped)
    fmt::print("stopped; the same command continues\n");
  else
    print(table, options.out);
}

}  // namespace

void add_mdl(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "mdl", "how long are the programs that print a text: models and other compressors",
                            "crate mdl recipes/mdl.toml --out out/mdl", *o);
  c->add_option("recipe", o->recipe, "a TOML file with [mdl], [compare] and [arm.NAME] sections; see recipes/mdl.toml")
      ->required();
  c->add_option("--set", o->set, "section.key=value, for every arm (repeatable)")->expected(1)->take_all();
  c->add_option("--out", o->out, "folder of what is trained and measured (default: out/NAME)");
  c->add_option("--source", o->source, "the program's source, whose zipped size is told")->capture_default_str();
  c->add_flag("--force", o->force, "train and measure again");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
