#include "work/atoms/export.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace crate {
namespace {

using nlohmann::json;

int64_t layer_of(const std::string& site) {
  int64_t layer = 0;
  const auto dot = site.find('.');
  if (dot != std::string::npos) std::from_chars(site.data() + dot + 1, site.data() + site.size(), layer);
  return layer;
}

json texts_of(const std::vector<std::string>& tokens) {
  json out = json::array();
  for (const std::string& t : tokens) out.push_back(as_utf8(t));
  return out;
}

// Texts of tokens; of images, which patch of how many.
json tokens_of(const AtomContext& c) {
  if (!c.texts.empty()) return texts_of(c.texts);
  json out = json::array();
  for (std::size_t i = 0; i < c.values.size(); ++i) out.push_back(fmt::format("patch {}", i));
  return out;
}

json rounded(const std::vector<float>& values) {
  json out = json::array();
  for (const float v : values) out.push_back(std::round(static_cast<double>(v) * 1e5) / 1e5);
  return out;
}

// Middles of the bins that hold something, and their counts.
void add_histogram(json& to, const std::string& name, const std::vector<double>& borders,
                   const std::vector<int64_t>& counts) {
  json values = json::array(), heights = json::array();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    values.push_back((borders[i] + borders[i + 1]) / 2);
    heights.push_back(counts[i]);
  }
  to[name + "_values"] = values;
  to[name + "_heights"] = heights;
}

json activation_of(const AtomContext& c, double lo, double hi, double share) {
  return {{"bin_min", lo},
          {"bin_max", hi},
          {"bin_contains", share},
          {"tokens", tokens_of(c)},
          {"values", rounded(c.values)},
          {"qualifying_token_index", c.peak}};
}

// Top contexts as a bin of their own, then those drawn by chance in the bins of the tenths.
json activations_of(const std::vector<AtomContext>& contexts, const AtomRecord& r) {
  json out = json::array();
  for (const AtomContext& c : contexts) {
    if (c.kind == "top") {
      out.push_back(activation_of(c, 0, r.most, -1));
      continue;
    }
    const auto q = static_cast<std::size_t>(std::clamp<int64_t>(c.quantile, 0, 9));
    const bool known = r.quantiles.size() == 11;
    out.push_back(activation_of(c, known ? r.quantiles[q] : 0, known ? r.quantiles[q + 1] : r.most, 0.1));
  }
  return out;
}

json feature_of(AtomIndex& index, const std::string& site, int64_t atom) {
  const AtomRecord r = index.record(site, atom);
  json f = {{"feature_index", atom},
            {"neuron_alignment_indices", json::array()},
            {"neuron_alignment_values", json::array()},
            {"neuron_alignment_l1", json::array()},
            {"correlated_neurons_indices", json::array()},
            {"correlated_neurons_l1", json::array()},
            {"correlated_neurons_pearson", json::array()},
            {"correlated_features_indices", json::array()},
            {"correlated_features_l1", json::array()},
            {"correlated_features_pearson", json::array()},
            {"neg_str", json::array()},
            {"neg_values", json::array()},
            {"pos_str", json::array()},
            {"pos_values", json::array()},
            {"frac_nonzero", r.density},
            {"n_prompts_total", std::atoll(index.about("tokens").c_str()) /
                                    std::max<int64_t>(1, std::atoll(index.about("window").c_str()))},
            {"n_tokens_in_prompt", std::atoll(index.about("window").c_str())},
            {"dataset", as_utf8(index.about("corpus"))},
            {"decoder_weights_dist", json::array()},
            {"vector", json::array()},
            {"activations", activations_of(index.contexts(site, atom), r)}};
  for (const RelatedAtom& other : index.related(site, atom)) {
    f["correlated_features_indices"].push_back(other.atom);
    f["correlated_features_pearson"].push_back(other.correlation);
  }
  for (const TokenValue& t : index.raises(site, atom)) {
    f["pos_str"].push_back(as_utf8(t.text));
    f["pos_values"].push_back(t.value);
  }
  for (const TokenValue& t : index.lowers(site, atom)) {
    f["neg_str"].push_back(as_utf8(t.text));
    f["neg_values"].push_back(t.value);
  }
  add_histogram(f, "freq_hist_data_bar", index.histogram_borders(), r.histogram);
  const auto [borders, counts] = index.logit_histogram(site, atom);
  add_histogram(f, "logits_hist_data_bar", borders, counts);
  return f;
}

json activation_record(const AtomContext& c) { return {{"tokens", tokens_of(c)}, {"activations", rounded(c.values)}}; }

std::string safe_name(const std::string& site) {
  std::string out;
  for (const char c : site) out += (std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_') ? c : '-';
  return out;
}

}  // namespace

std::string dashboard_batch(AtomIndex& index, const std::string& site, int64_t first, int64_t count) {
  json features = json::array();
  for (int64_t atom = first; atom < first + count; ++atom) features.push_back(feature_of(index, site, atom));
  const json out = {{"model_id", as_utf8(index.about("model"))},
                    {"layer", layer_of(site)},
                    {"sae_set", as_utf8(index.about("family"))},
                    {"sae_id_suffix", site.substr(site.rfind('.') + 1)},
                    {"features", std::move(features)}};
  return out.dump();
}

std::string neuron_record(AtomIndex& index, const std::string& site, int64_t atom) {
  const AtomRecord r = index.record(site, atom);
  json random = json::array(), by_quantile = json::array(), top = json::array();
  for (const AtomContext& c : index.random_contexts(site, atom)) random.push_back(activation_record(c));
  for (int i = 0; i < 10; ++i) by_quantile.push_back(json::array());
  for (const AtomContext& c : index.contexts(site, atom)) {
    if (c.kind == "top")
      top.push_back(activation_record(c));
    else
      by_quantile[static_cast<std::size_t>(std::clamp<int64_t>(c.quantile, 0, 9))].push_back(activation_record(c));
  }
  const json out = {{"neuron_id", {{"layer_index", layer_of(site)}, {"neuron_index", atom}}},
                    {"random_sample", random},
                    {"random_sample_by_quantile", by_quantile},
                    {"quantile_boundaries", r.quantiles},
                    {"mean", r.mean},
                    {"variance", r.variance},
                    {"skewness", r.skewness},
                    {"kurtosis", r.kurtosis},
                    {"most_positive_activation_records", top}};
  return out.dump();
}

int64_t export_atoms(AtomIndex& index, const std::string& out, const ExportOptions& options,
                     const std::function<void(int64_t, int64_t)>& progress) {
  namespace fs = std::filesystem;
  require(options.batch > 0, "[export] a batch must have atoms, came {}", options.batch);
  int64_t files = 0, done = 0, total = 0;
  const auto chosen = [&](const std::string& site) { return options.site.empty() || options.site == site; };
  require(options.site.empty() || index.has(options.site), "the index knows no site {}", options.site);
  const auto last_of = [&](const std::string& site) {
    const int64_t n = index.atoms(site);
    require(options.first >= 0 && options.first < n, "{} has atoms 0 to {}, came {}", site, n - 1, options.first);
    return options.count > 0 ? std::min(n, options.first + options.count) : n;
  };
  for (const std::string& site : index.sites())
    if (chosen(site)) total += last_of(site) - options.first;
  for (const std::string& site : index.sites()) {
    if (!chosen(site)) continue;
    const fs::path folder = fs::path(out) / safe_name(site);
    std::error_code error;
    fs::create_directories(folder, error);
    require(!error, "cannot create the folder {}: {}", folder.string(), error.message());
    const int64_t last = last_of(site), step = options.format == AtomFormat::dashboard ? options.batch : 1;
    for (int64_t lo = options.first; lo < last; lo += step, ++files) {
      const int64_t n = std::min(step, last - lo);
      const bool dashboard = options.format == AtomFormat::dashboard;
      const std::string name = dashboard ? fmt::format("batch-{}.json", lo / step) : fmt::format("{}.json", lo);
      write_atomically((folder / name).string(),
                       dashboard ? dashboard_batch(index, site, lo, n) : neuron_record(index, site, lo));
      done += n;
      if (progress) progress(done, total);
    }
  }
  return files;
}

}  // namespace crate
