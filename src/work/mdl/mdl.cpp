#include "work/mdl/mdl.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "work/mdl/model_row.h"
#include "work/mdl/orders.h"
#include "work/mdl/program.h"
#include "work/mdl/text.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double seed_bits = 64;                // all that a model costs which nothing was taught
constexpr std::size_t listened = 65536;         // bytes that rounding listens to
constexpr std::size_t little = 4096;            // bytes that every instruction set decodes
constexpr double narrowest = 0.25, widest = 4;  // of the reference's parameters, where total bits are to meet

class Measurer {
 public:
  Measurer(const LengthPlan& plan, const LengthOptions& options)
      : plan_(plan), o_(options), measured_(options.out + "/measured"), text_(training_text(text_recipe())) {}

  LengthTable run() {
    table_.bytes = static_cast<int64_t>(text_.size());
    table_.decoder_bytes = decoder_source_bytes(o_.source);
    table_.order0_bits = order_bits(0, text_.size());
    prepare_bench();
    try {
      models();
      control();
      order_two();
      programs();
    } catch (const Error&) {
      if (!stopping()) throw;  // a key that stops this program stops those it runs
      table_.stopped = true;
    }
    return table_;
  }

 private:
  struct Stopped : Error {
    Stopped() : Error("stopped") {}
  };
  const DataRecipe& text_recipe() const { return plan_.experiment.reference_arm().recipe.data; }
  bool stopping() const { return o_.training.stop && o_.training.stop->load(); }
  void doing(const std::string& what) const {
    if (stopping()) throw Stopped();
    if (o_.doing) o_.doing(what);
  }

  void prepare_bench() {
    const std::string sample = spread_sample(text_, plan_.sample);
    table_.sample = static_cast<int64_t>(sample.size());
    bench_ = {.crate = o_.crate,
              .folder = o_.out,
              .sample = o_.out + "/sample",
              .little = o_.out + "/little",
              .listened = text_.substr(0, listened),
              .bytes = table_.bytes,
              .widths = plan_.widths,
              .measured = &measured_,
              .doing = [this](const std::string& what) { doing(what); }};
    write_atomically(bench_.sample, sample);
    write_atomically(bench_.little, sample.substr(0, little));
  }

  // Lengths of text at which the figure has a mark.
  std::vector<std::size_t> marks() const {
    std::vector<std::size_t> out;
    for (const double mb : plan_.sizes)
      if (const auto n = static_cast<std::size_t>(std::llround(1e6 * mb)); n < text_.size()) out.push_back(n);
    std::sort(out.begin(), out.end());
    out.push_back(text_.size());
    return out;
  }

  double order_bits(int order, std::size_t n) const {
    return measured_
        .once(fmt::format("order-{}-{}", order, n),
              [&] { return json(adaptive_bits(std::string_view(text_).substr(0, n), order)); })
        .get<double>();
  }

  Comparison trained(std::vector<Arm> arms, const std::string& folder) {
    Experiment e = plan_.experiment;
    e.match = Match::none;  // the arms are sized already
    e.seeds.resize(1);
    e.controls.clear();
    if (std::none_of(arms.begin(), arms.end(), [&](const Arm& a) { return a.name == e.reference; }))
      e.reference = arms.front().name;
    e.arms = std::move(arms);
    CompareOptions options = o_.training;
    options.out = o_.out + "/" + folder;
    const Comparison out = compare(e, options);
    if (out.stopped) throw Stopped();
    return out;
  }

  LengthRow row_of(const ArmResult& arm, const std::string& folder, const std::string& name, const std::string& note) {
    const RunResult& run = arm.runs.front();
    require(std::isfinite(run.loss), "[mdl] the training of {} diverged; lower optimizer.lr", arm.name);
    const std::string directory = fmt::format("{}/{}/{}/seed-{}", o_.out, folder, arm.name, run.seed);
    LengthRow row = model_row(bench_, arm.name, directory);
    row.name = name;
    row.note = note;
    row.model->held_out = value_of(run.metrics, "bits_per_byte");
    row.model->zero_codes = 1 - run.nonzero;
    const Curve curve = curve_of(read_text_file(directory + "/metrics.jsonl"), table_.bytes);
    row.model->prequential_bits = curve.prequential;
    row.model->curve_bits = curve.above_end;
    add_points(row);
    return row;
  }

  // A model of this text costs the same bits a byte of every part of it.
  void add_points(LengthRow& row) const {
    for (const std::size_t n : marks())
      row.points.emplace_back(static_cast<double>(n), row.model->best_bits + row.data_bits * static_cast<double>(n) /
                                                                                 static_cast<double>(table_.bytes));
  }

  static Arm sized(const Arm& arm, const Budget& target, Match match, const std::string& name) {
    Arm out = arm;
    out.name = arm.name + "-" + name;
    out.recipe.model = sized_to(arm.recipe.model, target, match);
    // What was asked for is what a continued experiment is recognised by.
    out.recipe.text += fmt::format("\n# dim {} layers {} atoms {}\n", out.recipe.model.dim, out.recipe.model.layers,
                                   out.recipe.model.n_atoms());
    return out;
  }

  void models() {
    const Arm& reference = plan_.experiment.reference_arm();
    const Budget budget = budget_of(reference.recipe.model);
    std::vector<Arm> arms{reference};
    for (const Arm& arm : plan_.experiment.arms) {
      if (arm.name == reference.name) continue;
      arms.push_back(sized(arm, budget, Match::parameters, "parameters"));
      arms.push_back(sized(arm, budget, Match::flops, "flops"));
    }
    const Comparison first = trained(arms, "models");
    const LengthRow own = row_of(first.arms[0], "models", reference.name, "the reference");
    table_.rows.push_back(own);
    std::vector<Arm> later;
    for (std::size_t i = 1; i < first.arms.size(); i += 2) {
      const std::string name = first.arms[i].name.substr(0, first.arms[i].name.rfind('-'));
      const LengthRow& a = add(row_of(first.arms[i], "models", name, "equal parameters"));
      const LengthRow& b = add(row_of(first.arms[i + 1], "models", name, "equal FLOPs"));
      const auto& arm = *std::find_if(plan_.experiment.arms.begin(), plan_.experiment.arms.end(),
                                      [&](const Arm& one) { return one.name == name; });
      later.push_back(sized(arm, {meeting(a, b, own), 0}, Match::parameters, "bits"));
    }
    const Comparison second = trained(later, "models-bits");
    for (const ArmResult& arm : second.arms) {
      LengthRow row = row_of(arm, "models-bits", arm.name.substr(0, arm.name.rfind('-')), "");
      row.note = fmt::format("equal total bits, off by {:.1f} %",
                             100 * std::fabs(row.two_part_bits() / own.two_part_bits() - 1));
      add(std::move(row));
    }
  }

  LengthRow add(LengthRow row) {
    table_.rows.push_back(row);
    return row;
  }

  // Parameters at which the line through the totals of a and b meets the reference's.
  static double meeting(const LengthRow& a, const LengthRow& b, const LengthRow& reference) {
    const double at_a = std::log(a.model->parameters), at_b = std::log(b.model->parameters),
                 rise = b.two_part_bits() - a.two_part_bits();
    const double along = rise == 0 ? 0 : (reference.two_part_bits() - a.two_part_bits()) / rise;
    const double own = reference.model->parameters;
    return std::clamp(std::exp(at_a + along * (at_b - at_a)), narrowest * own, widest * own);
  }

  // The reference as it was born: a seed instead of weights.
  void control() {
    const Arm& reference = plan_.experiment.reference_arm();
    Recipe recipe = reference.recipe;
    recipe.train.seed = plan_.experiment.seeds.front();
    recipe.train.steps = 0;
    doing("random weights");
    TrainOptions training;
    training.out = o_.out + "/random";
    training.resume = true;
    const TrainResult born = train(recipe, training);
    ModelBench eight = bench_;
    eight.widths = {8};
    LengthRow row = model_row(eight, "random", training.out);
    row.name = "random weights";
    row.note = "a seed";
    ModelLength& m = *row.model;
    m.best_bits = m.fp16_bits = m.int8_bits = seed_bits;
    m.held_out = born.validation.value("bits_per_byte");
    m.zero_codes = 1 - born.validation.mean_nonzero();
    add_points(row);
    add(std::move(row));
  }

  void order_two() {
    doing("order 2");
    LengthRow row;
    row.name = "order 2";
    row.note = "learned while coding";
    for (const std::size_t n : marks()) row.points.emplace_back(static_cast<double>(n), order_bits(2, n));
    row.data_bits = row.points.back().second;
    add(std::move(row));
  }

  void programs() {
    for (const Coder& coder : known_coders(table_.bytes)) {
      const std::string& program = coder.encode.args.front();
      if (!is_installed(program)) {
        table_.skipped.push_back(
            fmt::format("{}: {} is not installed (Debian: apt-get install {})", coder.name, program, coder.package));
        continue;
      }
      LengthRow row;
      row.name = coder.name;
      for (const std::size_t n : marks()) {
        const Coded c = coded(coder, n);
        row.points.emplace_back(static_cast<double>(n), 8 * static_cast<double>(c.archive));
        row.data_bits = row.points.back().second;
        row.encode_speed = static_cast<double>(c.raw) / c.encode_seconds;
        row.decode_speed = static_cast<double>(c.raw) / c.decode_seconds;
        row.memory = c.memory;
        row.exact = c.exact ? "here" : "NOT";
      }
      add(std::move(row));
    }
  }

  Coded coded(const Coder& coder, std::size_t n) {
    doing(fmt::format("{} on {} bytes", coder.name, n));
    const json at = measured_.once(fmt::format("{}-{}", coder.package, n), [&] {
      const std::string file = o_.out + "/text";
      write_atomically(file, std::string_view(text_).substr(0, n));
      const Coded c = code_file(coder, file, o_.out + "/coding");
      fs::remove(file);
      return json{c.raw, c.archive, c.encode_seconds, c.decode_seconds, c.memory, c.exact};
    });
    return {at[0], at[1], at[2], at[3], at[4], at[5]};
  }

  const LengthPlan& plan_;
  const LengthOptions& o_;
  Measured measured_;
  std::string text_;
  ModelBench bench_;
  LengthTable table_;
};

}  // namespace

LengthTable measure_lengths(const LengthPlan& plan, const LengthOptions& options) {
  LengthTable table = Measurer(plan, options).run();
  if (!table.stopped) {
    write_atomically(options.out + "/lengths.json", to_json(table) + "\n");
    write_atomically(options.out + "/lengths.svg", lengths_svg(table));
  }
  return table;
}

}  // namespace crate
