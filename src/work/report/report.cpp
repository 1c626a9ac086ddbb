#include "work/report/report.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "work/report/measures.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

class Reporter {
 public:
  Reporter(const std::vector<std::string>& models, const std::vector<std::string>& twins, const std::string& data,
           const ReportOptions& options)
      : options_(options), folders_{models, twins} {
    tokenizer_ = load_tokenizer(models.front());
    check_folders();
    material_.emplace(gather(data));
    describe(data);
  }

  ReportCard run() {
    const std::size_t all = 2 * (folders_[0].size() + folders_[1].size());
    std::size_t done = 0;
    for (const int m : {0, 1}) {
      for (std::size_t s = 0; s < folders_[z(m)].size(); ++s) {
        for (const Variant v : {Variant::trained, Variant::untrained}) {
          tell(fmt::format("{}, {}", folders_[z(m)][s], name_of(v)),
               static_cast<double>(done++) / static_cast<double>(all));
          measure(m, s, v);
        }
      }
    }
    return std::move(card_);
  }

 private:
  void tell(const std::string& what, double fraction) const {
    if (options_.progress) options_.progress(what, fraction);
  }

  void check_folders() {
    constexpr const char* names[] = {"model", "twin"};
    for (const int m : {0, 1}) {
      ReportedModel& r = card_.models[z(m)];
      r.name = names[m];
      std::optional<std::string> first;
      for (const std::string& folder : folders_[z(m)]) {
        const ModelConfig config = load_config(folder);
        if (!first) first = to_json(config);
        require(to_json(config) == *first, "{} has another configuration than {}; seeds of one model must share it",
                folder, folders_[z(m)].front());
        require(load_tokenizer(folder)->identity() == tokenizer_->identity(),
                "{} has another tokenizer than {}; a report compares models on the same tokens", folder,
                folders_[0].front());
        r.folders.push_back(folder);
        r.hashes.push_back(sha256_file((std::filesystem::path(folder) / "model.safetensors").string()));
        r.family = name_of(config.family);
        r.layers = config.layers;
        r.units = unit_count(config);
      }
    }
  }

  Material gather(const std::string& data) {
    const int64_t context =
        std::min(load_config(folders_[0].front()).context, load_config(folders_[1].front()).context);
    Tokens text = open_tokens(data, options_.part, *tokenizer_, {.document_prefix = options_.document_prefix});
    text = text.slice(static_cast<int64_t>(static_cast<double>(text.size()) * (1 - options_.tail)), text.size());
    Material out{*tokenizer_, text, AtomCorpus(text, tokenizer_->separator()), {}, {}, {}, {}, {}};
    out.windows = windows_of(out.corpus, std::min(options_.window, context), options_.tokens);
    if (has_wordnet()) {
      const auto supersenses = load_inventory("supersenses");
      std::vector<std::vector<WordClass>> classes;
      for (const Window& w : out.windows) classes.push_back(word_classes_of(w.tokens, *tokenizer_, *supersenses));
      out.fit_places = draw_places(out.windows, classes, false, options_.probe_each, options_.seed);
      out.judge_places = draw_places(out.windows, classes, true, options_.probe_each / 2, options_.seed);
    }
    if (!options_.sst2.empty()) {
      out.sst2_fit = read_labelled(options_.sst2 + "/train.tsv", *tokenizer_, options_.sst2_train);
      out.sst2_judge = read_labelled(options_.sst2 + "/dev.tsv", *tokenizer_, 1 << 20);
    }
    return out;
  }

  void describe(const std::string& data) {
    auto& s = card_.settings;
    const auto& windows = material_->windows;
    const auto held = std::count_if(windows.begin(), windows.end(), [](const Window& w) { return w.held_out; });
    s.emplace_back("text", options_.tail < 1 ? fmt::format("{}, the last {}", data, options_.tail) : data);
    s.emplace_back("read", fmt::format("{} windows of {} tokens, {} of them from held-out documents", windows.size(),
                                       windows.front().tokens.size(), held));
    s.emplace_back("documents", fmt::format("{}{}, every other one held out", material_->corpus.documents(),
                                            material_->corpus.is_cut() ? " equal parts of one text" : ""));
    s.emplace_back("units",
                   fmt::format("{} of each layer; every layer counted, dead units as 0",
                               std::min(options_.units, std::max(card_.models[0].units, card_.models[1].units))));
    s.emplace_back("word classes", material_->fit_places.empty()
                                       ? "not measured: WordNet is not installed (apt-get install wordnet-base)"
                                       : fmt::format("{} tokens to fit on, {} to judge on",
                                                     material_->fit_places.size(), material_->judge_places.size()));
    s.emplace_back("SST-2", material_->sst2_fit.empty()
                                ? "not measured"
                                : fmt::format("{} sentences to fit on, {} to judge on", material_->sst2_fit.size(),
                                              material_->sst2_judge.size()));
    s.emplace_back("faithfulness",
                   fmt::format("{} prompts of {} tokens", options_.faith.prompts, options_.faith.length));
    s.emplace_back("meaning",
                   fmt::format("{} units of each layer, on the first {} tokens of the text; names at p <= 0.01",
                               options_.meaning.units, std::min(options_.meaning.tokens, material_->text.size())));
    s.emplace_back("causality", fmt::format("{} units of each layer; {} tokens for ablation, {} for steering at KL {}",
                                            options_.causal.units, options_.causal.tokens, options_.causal.steer_tokens,
                                            options_.causal.kl));
    s.emplace_back("seed of draws", std::to_string(options_.seed));
  }

  // The units looked at are the same for all seeds; rotations are drawn for each.
  View view_of(const ModelConfig& config, bool rotated, std::size_t s) const {
    View view;
    for (int64_t l = 0; l < config.layers; ++l) {
      const uint64_t seed = options_.seed * 1000 + z(l) + (rotated ? 100 * (s + 1) : 0);
      const int64_t width = unit_count(config);
      view.push_back(rotated ? Directions::rotated(width, options_.units, seed)
                             : Directions::axes(width, options_.units, seed));
    }
    return view;
  }

  MeaningOptions meaning_options() const {
    MeaningOptions out = options_.meaning;
    out.seed = options_.seed;
    return out;
  }

  void measure(int m, std::size_t s, Variant v) {
    Device device;
    const auto model = load_language_model(device, folders_[z(m)][s]);
    if (v == Variant::untrained) {
      model->init(options_.seed + s);
      model->store().values_changed();
    }
    card_.models[z(m)].parameters = model->parameters();
    std::vector<Variant> looked = {v};
    std::vector<View> views = {view_of(model->config(), false, s)};
    if (v == Variant::trained) {
      looked.push_back(Variant::rotated);
      views.push_back(view_of(model->config(), true, s));
    }
    measure_loss(card_, m, v, *model, *material_);
    FaithOptions faith = options_.faith;
    faith.seed = options_.seed;
    measure_faithfulness(card_, m, v, *model, *material_, faith);
    const Places places = all_places(*material_);
    const auto readings =
        read_windows(*model, material_->windows, views, places.all, {.followed = options_.causal.units});
    for (std::size_t i = 0; i < views.size(); ++i) {
      const Measured at{card_, m, looked[i], *model, views[i], readings[i]};
      measure_geometry(at);
      measure_word_classes(at, places);
      measure_sst2(at, *material_);
      measure_causality(at, *material_, options_.causal);
      measure_meaning(at, *material_, meaning_options());
    }
  }

  const ReportOptions& options_;
  std::array<std::vector<std::string>, 2> folders_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<Material> material_;
  ReportCard card_;
};

}  // namespace

ReportCard make_report(const std::vector<std::string>& models, const std::vector<std::string>& twins,
                       const std::string& data, const ReportOptions& options) {
  require(!models.empty() && !twins.empty(), "[report] expected a model and a twin");
  require(options.window >= 8 && options.units >= 1 && options.probe_each >= 2,
          "[report] needs windows of 8 tokens, 1 unit and 2 tokens of a word class at least");
  return Reporter(models, twins, data, options).run();
}

}  // namespace crate
