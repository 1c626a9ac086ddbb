#include "work/explain/verify.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::size_t most_told = 20;

// What viewers write, and what is told about a model and not computed from it.
const std::set<std::string> not_compared = {"document.qParams", "document.metadata.slug", "document.metadata.scan",
                                            "document.metadata.info", "document.metadata.crate.model.name"};

class Comparison {
 public:
  Comparison(const json& recorded, const json& computed, Tolerance tolerance)
      : recorded_(recorded), computed_(computed), tolerance_(tolerance) {
    scale_ = size_of(computed["metadata"]["crate"]["target"]["value"]);
    for (const json& node : computed["nodes"]) scale_ = std::max(scale_, size_of(node["crate"]["gives"]));
    for (const json& link : computed["links"]) {
      double& largest = inflow_[link["target"].get<std::string>()];
      largest = std::max(largest, size_of(link["weight"]));
    }
  }

  Verification take() {
    compare(recorded_, computed_, "document", scale_);
    if (out_.differences.empty()) check_sums();
    return std::move(out_);
  }

 private:
  static double size_of(const json& number) { return number.is_number() ? std::abs(number.get<double>()) : 0; }

  void differ(const std::string& line) {
    if (out_.differences.size() < most_told) out_.differences.push_back(line);
  }

  void compare(const json& recorded, const json& computed, const std::string& path, double scale) {
    if (not_compared.contains(path)) return;
    if (path == "document.metadata.crate.served") return compare_served(recorded, computed);
    if (computed.is_number() && recorded.is_number()) return compare_number(recorded, computed, path, scale);
    if (recorded.type() != computed.type())
      return differ(fmt::format("{}: {}, not {}", path, kind(recorded), kind(computed)));
    if (computed.is_object()) return compare_objects(recorded, computed, path, scale);
    if (computed.is_array()) return compare_arrays(recorded, computed, path, scale);
    ++out_.texts;
    if (recorded != computed)
      differ(fmt::format("{}: recorded {}, computed {}", path, shown(recorded), shown(computed)));
  }

  static std::string kind(const json& x) { return x.is_number() ? "a number" : x.type_name(); }
  static std::string shown(const json& x) {
    const std::string text = x.dump(-1, ' ', false, json::error_handler_t::replace);
    return text.size() <= 80 ? text : text.substr(0, 77) + "...";
  }

  void compare_number(const json& recorded, const json& computed, const std::string& path, double scale) {
    ++out_.numbers;
    const double a = recorded.get<double>(), b = computed.get<double>();
    const bool whole = recorded.is_number_integer() && computed.is_number_integer();
    const double allowed =
        whole ? 0 : tolerance_.relative * std::max(std::abs(a), std::abs(b)) + tolerance_.of_scale * scale;
    const double off = std::abs(a - b);
    if (off <= allowed) {
      if (allowed > 0) out_.worst = std::max(out_.worst, off / allowed);
      return;
    }
    differ(fmt::format("{}: recorded {}, computed {}", path, recorded.dump(), computed.dump()));
  }

  void compare_objects(const json& recorded, const json& computed, const std::string& path, double scale) {
    for (const auto& [key, value] : recorded.items()) {
      if (!computed.contains(key) && !not_compared.contains(path + "." + key))
        differ(fmt::format("{}.{}: not part of an explanation", path, key));
    }
    const bool named = computed.contains("feature_type") &&
                       (computed["feature_type"] == "atom" || computed["feature_type"] == "neuron");
    if (computed.contains("node_id")) scale = std::max(size_of(computed["activation"]), inflow_of(computed["node_id"]));
    if (computed.contains("weight")) scale = inflow_of(computed["target"]);
    for (const auto& [key, value] : computed.items()) {
      if (named && key == "clerp") continue;  // a name of ours; it may have become a better one
      const std::string at = path + "." + key;
      if (!recorded.contains(key))
        differ(fmt::format("{}: missing", at));
      else
        compare(recorded[key], value, at, key == "gives" || key == "position_gives" ? scale_ : scale);
    }
  }

  /// The serving forward: its value and distance by their own tolerance; how many entries differ depends on the
  /// machine's rounding and is told, not compared.
  void compare_served(const json& recorded, const json& computed) {
    const std::string path = "document.metadata.crate.served";
    for (const char* key : {"value", "distance", "active_sets"}) {
      if (!recorded.is_object() || !recorded.contains(key)) return differ(path + ": " + key + " missing");
    }
    const Tolerance own = tolerance_;
    tolerance_.of_scale = std::max(own.of_scale, own.of_served);
    for (const char* key : {"value", "distance"})
      compare(recorded[key], computed[key], path + "." + key, scale_of(key));
    tolerance_ = own;
    const json &a = recorded["active_sets"], &b = computed["active_sets"];
    compare(a.is_object() && a.contains("entries") ? a["entries"] : json(), b["entries"], path + ".active_sets.entries",
            0);
    if (recorded.size() != computed.size()) differ(path + ": not what an explanation has");
  }
  double scale_of(std::string_view key) const { return key == "value" ? scale_ : 1; }

  double inflow_of(const json& id) const {
    const auto it = inflow_.find(id.get<std::string>());
    return it == inflow_.end() ? 0 : it->second;
  }

  void compare_arrays(const json& recorded, const json& computed, const std::string& path, double scale) {
    if (recorded.size() != computed.size())
      differ(fmt::format("{}: recorded {}, computed {}", path, recorded.size(), computed.size()));
    for (std::size_t i = 0; i < std::min(recorded.size(), computed.size()); ++i)
      compare(recorded[i], computed[i], fmt::format("{}[{}]", path, i), scale);
  }

  /// The sums that the file claims, from its own numbers.
  void check_sums() {
    const json& ours = recorded_["metadata"]["crate"];
    const double value = ours["target"]["value"].get<double>();
    double worst = 0;
    for (const json& cut : ours["cuts"]) {
      const double sum = cut["units"].get<double>() + cut["stream"].get<double>() + cut["biases"].get<double>();
      const double residual = value == 0 ? std::abs(sum - value) : std::abs(sum - value) / std::abs(value);
      worst = std::max(worst, residual);
      if (std::abs(sum - cut["sum"].get<double>()) > 1e-12 * std::max(1.0, std::abs(sum)) ||
          std::abs(residual - cut["residual"].get<double>()) > 1e-12 + 1e-3 * residual)
        differ(fmt::format("cut {}: units + stream + biases are {}, {:.3g} from the target", cut["at"].dump(), sum,
                           residual));
    }
    if (std::abs(worst - ours["residual"].get<double>()) > 1e-12 + 1e-3 * worst)
      differ(fmt::format("document.metadata.crate.residual: recorded {}, the cuts say {:.3g}", ours["residual"].dump(),
                         worst));
  }

  const json &recorded_, &computed_;
  Tolerance tolerance_;
  double scale_ = 0;
  std::map<std::string, double> inflow_;  // by node_id: the largest effect into it
  Verification out_;
};

}  // namespace

Verification compare_graphs(const json& recorded, const json& computed, Tolerance tolerance) {
  return Comparison(recorded, computed, tolerance).take();
}

}  // namespace crate
