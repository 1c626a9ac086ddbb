// crate measure: how far every layer goes the way its objective asks it to; several models side by side.
#include "work/measure/measure.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/measure/report.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::vector<std::string> models;
  std::string data, part = "val", plot, json_field = "text", document_prefix;
  MeasureOptions measure;
};

Measurement measure_one(const Options& o, const std::string& folder) {
  Device device(o.device_options());
  const auto model = load_model(device, folder);
  MeasureOptions options = o.measure;
  Progress progress;
  options.progress = [&](int64_t done, int64_t total) {
    progress.show(fmt::format("[{}] {} of {} samples", bar(static_cast<double>(done) / static_cast<double>(total), 20),
                              done, total));
  };
  if (is_image(model->config().family))
    return measure(*model, *open_images(o.data, {.split = o.part, .need_labels = false}), options);
  auto& language = dynamic_cast<LanguageModel&>(*model);
  const auto tokenizer = tokenizer_of(folder);
  return measure(language, open_tokens(o.data, o.part, *tokenizer, {o.json_field, o.document_prefix}), options);
}

std::string with_deviation(const Spread& s) { return fmt::format("{:.5g} +- {:.2g}", s.mean(), s.deviation()); }

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

// Before the block, between its halves, after it.
void print_rates(const Measurement& m, const char* scale, const Spread Rates::*rate, const Spread Rates::*rate_c) {
  fmt::print("\ncoding rates of {}, nats a sample, before the block, between its halves and after it\n", scale);
  fmt::print("{:>5} {:>18} {:>9} {:>9} {:>18} {:>9} {:>9}\n", "layer", "R(Z)", "mid", "after", "R^c(Z|U)", "mid",
             "after");
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const LayerMeasure& l = m.layers[i];
    fmt::print("{:>5} {:>18} {:>9.5g} {:>9.5g} {:>18} {:>9.5g} {:>9.5g}\n", i, with_deviation(l.pre.*rate),
               (l.mid.*rate).mean(), (l.post.*rate).mean(), with_deviation(l.pre.*rate_c), (l.mid.*rate_c).mean(),
               (l.post.*rate_c).mean());
  }
}

void print_codes(const Measurement& m) {
  fmt::print("\ncodes: share not 0; objective 1/2 |v - Dz|^2 + lambda |z|_1 a token before and after the step\n");
  fmt::print("{:>5} {:>18} {:>18} {:>18} {:>10}\n", "layer", "not 0, %", "before", "after", "fell for");
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const LayerMeasure& l = m.layers[i];
    fmt::print("{:>5} {:>18}", i, fmt::format("{:.2f} +- {:.2f}", 100 * l.nonzero.mean(), 100 * l.nonzero.deviation()));
    if (l.objective_step)
      fmt::print(" {:>18} {:>18} {:>8.1f} %", with_deviation(*l.objective_before), with_deviation(*l.objective_after),
                 100 * l.objective_fell);
    fmt::print("\n");
  }
}

void print_bases(const Measurement& m) {
  fmt::print(
      "\nsubspaces: mean |cosine| of directions within and between heads, largest |U_k'U_j|; cosine of W and [U_k];\n"
      "effective rank of a head's coordinates, of at most {}\n",
      m.head_dim);
  fmt::print("{:>5} {:>9} {:>9} {:>12} {:>9}  {}\n", "layer", "within", "between", "|U_k'U_j|", "cos W,U",
             "effective rank: mean, then a head");
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const LayerMeasure& l = m.layers[i];
    std::string heads;
    for (const double r : l.coords_effective_rank) heads += fmt::format(" {:.1f}", r);
    fmt::print("{:>5} {:>9.4f} {:>9.4f} {:>12.3f} {:>9}  {:.1f}:{}\n", i, l.bases.within, l.bases.between,
               l.bases.overlap_max, l.bases.cosine ? fmt::format("{:+.4f}", *l.bases.cosine) : "-",
               mean_of(l.coords_effective_rank), heads);
  }
}

void print_one(const Measurement& m, const std::string& folder) {
  fmt::print("{}  {}: {} samples, {} tokens, squared precision {}; +- is the deviation over the samples\n",
             bold(m.family), folder, m.samples, m.tokens, m.squared_precision);
  print_rates(m, "tokens of length 1", &Rates::rate_unit, &Rates::rate_c_unit);
  print_rates(m, "tokens as they are", &Rates::rate, &Rates::rate_c);
  print_codes(m);
  print_bases(m);
  const std::vector<LayerWarning> warnings = warnings_of(m);
  if (!warnings.empty()) fmt::print("\nagainst the objective:\n");
  for (const LayerWarning& warning : warnings) fmt::print("  {}\n", warning.text);
}

void run(const Options& o) {
  std::vector<Measurement> measurements;
  for (const std::string& folder : o.models) measurements.push_back(measure_one(o, folder));
  if (!o.plot.empty()) write_atomically(o.plot, figure_of(measurements, o.models));
  if (o.json) {
    nlohmann::json all = nlohmann::json::array();
    for (std::size_t i = 0; i < o.models.size(); ++i) {
      all.push_back(json_of(measurements[i]));
      all.back()["model"] = o.models[i];
    }
    fmt::print("{}\n", all.size() == 1 ? all[0].dump() : nlohmann::json{{"models", all}}.dump());
    return;
  }
  for (std::size_t i = 0; i < o.models.size(); ++i) {
    if (i > 0) fmt::print("\n");
    print_one(measurements[i], o.models[i]);
  }
}

}  // namespace

void add_measure(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "measure", "coding rates, sparsity and subspaces of every layer",
                            "crate measure out/demo-crate-lm --data data/tinyshakespeare.txt --plot layers.svg", *o);
  c->add_option("models", o->models, "model directories; several share one figure")->required();
  c->add_option("--data", o->data, "text, shards (.bin) or a prepared folder; images: a folder, a tar, synthetic:N, ..")
      ->required();
  c->add_option("--part", o->part, "train or val, where the data has parts")->capture_default_str();
  c->add_option("--samples", o->measure.samples, "sequences or images, spread evenly over the data")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--batch", o->measure.batch, "samples at a time")->capture_default_str()->check(positive());
  c->add_option("--squared-precision", o->measure.squared_precision,
                "of the coding rates, the papers' epsilon squared; their script's `eps`")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--resize", o->measure.resize,
                "images: the short side before the middle is cut out; -1: by the model's size")
      ->capture_default_str();
  c->add_option("--plot", o->plot, "write the figure here (SVG): R^c and non-zero codes against the layer");
  c->add_option("--json-field", o->json_field, "of .jsonl: the field that holds the text")->capture_default_str();
  c->add_option("--document-prefix", o->document_prefix, "plain text: a line beginning so starts a document");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
