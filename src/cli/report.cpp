// crate report: a model beside its twin, untrained copies and rotated layers, judged by nothing but text.
#include "work/report/report.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/report/words.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, twin, data, out = "out/report";
  std::vector<std::string> seeds;
  ReportOptions report;
};

// Further seeds belong to the model or the twin by their family.
void sort_seeds(const Options& o, std::vector<std::string>& models, std::vector<std::string>& twins) {
  const Family model = load_config(o.model).family, twin = load_config(o.twin).family;
  require(o.seeds.empty() || model != twin,
          "{} and {} are of one family, so it cannot be told whose seeds --seeds gives; compare different families",
          o.model, o.twin);
  for (const std::string& folder : o.seeds) {
    const Family family = load_config(folder).family;
    require(family == model || family == twin, "{} is a {}; --seeds takes further seeds of {} or of {}", folder,
            name_of(family), o.model, o.twin);
    (family == model ? models : twins).push_back(folder);
  }
}

std::string interval(const Interval& i) {
  return fmt::format("{} [{}, {}]", signed_value(i.mean), signed_value(i.low), signed_value(i.high));
}

void print(const ReportCard& card, const std::string& out) {
  fmt::print("{}\n", bold("Excess over the untrained copy (95 % intervals)"));
  fmt::print("  {:<32} {:<25} {:<25} {}\n", "", model_title(card, 0), model_title(card, 1), "ahead");
  for (const Measure& m : measures()) {
    if (!m.headline || !has_excess(card, m)) continue;
    const Verdict v = verdict_on(card, m);
    fmt::print("  {:<32} {:<25} {:<25} {}\n", m.title, interval(v.white), interval(v.twin), ahead_text(card, v));
  }
  fmt::print("\n{}\n{}/report.json, report.md and report.html hold every value.\n", summary(card), out);
}

void run(const Options& o) {
  require(o.device == "cpu", "crate report measures on --device cpu, came {}", o.device);
  set_thread_count(o.threads);
  std::vector<std::string> models = {o.model}, twins = {o.twin};
  sort_seeds(o, models, twins);
  ReportOptions options = o.report;
  options.seed = o.seed;
  Progress progress;
  options.progress = [&](const std::string& what, double fraction) {
    progress.show(fmt::format("[{}] {}", bar(fraction, 20), what));
  };
  const ReportCard card = make_report(models, twins, o.data, options);
  progress.clear();
  std::filesystem::create_directories(o.out);
  write_atomically(o.out + "/report.json", to_json(card) + "\n");
  write_atomically(o.out + "/report.md", to_markdown(card));
  write_atomically(o.out + "/report.html", to_html(card));
  if (o.json)
    fmt::print("{}\n", to_json(card));
  else
    print(card, o.out);
}

}  // namespace

void add_report(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c =
      add_command(app, "report", "a report card of a model's units beside its twin's, without any other model",
                  "crate report out/demo-crate-lm --twin out/demo-gpt2 --data data/tinyshakespeare.txt --tail 0.1", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--twin", o->twin, "directory of the model to compare with")->required();
  c->add_option("--data", o->data, "text, shards (.bin) or a folder prepared by crate data")->required();
  c->add_option("--seeds", o->seeds, "directories of further training seeds of both");
  c->add_option("-o,--out", o->out, "folder for report.json, report.md and report.html")->capture_default_str();
  c->add_option("--part", o->report.part, "of a prepared folder: train or val")->capture_default_str();
  c->add_option("--document-prefix", o->report.document_prefix, "plain text: a line beginning so starts a document");
  c->add_option("--tail", o->report.tail, "only the last so large part of the text, e.g. 0.1")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--tokens", o->report.tokens, "how much of the text every model reads")->capture_default_str();
  c->add_option("--window", o->report.window, "tokens a model sees at once")->capture_default_str();
  c->add_option("--units", o->report.units, "units of each layer, drawn by chance where there are more")
      ->capture_default_str();
  c->add_option("--sst2", o->report.sst2, "a folder with SST-2's train.tsv and dev.tsv");
  c->add_option("--causal-units", o->report.causal.units, "units of each layer to ablate and steer")
      ->capture_default_str();
  c->add_option("--meaning-units", o->report.meaning.units, "units of each layer to simulate and name")
      ->capture_default_str();
  c->add_option("--meaning-tokens", o->report.meaning.tokens, "how much of the text that reads")->capture_default_str();
  c->add_option("--prompts", o->report.faith.prompts, "prompts explained for faithfulness")->capture_default_str();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
