#include "work/explain/atom_notes.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr int64_t contexts_shown = 5, words_shown = 10;
constexpr int64_t before_peak = 14, after_peak = 8;  // tokens of a context

json words_of(const std::vector<TokenValue>& words) {
  json out = json::array();
  for (std::size_t i = 0; i < std::min<std::size_t>(words_shown, words.size()); ++i)
    out.push_back({{"token", words[i].text}, {"value", words[i].value}});
  return out;
}

// The tokens around the strongest one, or the patch.
json context_of(AtomIndex& index, const AtomContext& c) {
  if (!index.is_text()) return {{"title", as_utf8(index.patch_of(c))}, {"value", c.value}};
  const auto n = static_cast<int64_t>(c.texts.size());
  const int64_t from = std::max<int64_t>(0, c.peak - before_peak), to = std::min(n, c.peak + after_peak + 1);
  json tokens = json::array(), values = json::array();
  for (int64_t i = from; i < to; ++i) {
    tokens.push_back(c.texts[static_cast<std::size_t>(i)]);
    values.push_back(std::max(0.0F, c.values[static_cast<std::size_t>(i)]));
  }
  return {{"tokens", tokens}, {"values", values}};
}

json notes_on(AtomIndex& index, const std::string& site, int64_t atom) {
  const AtomRecord record = index.record(site, atom);
  json contexts = json::array();
  for (const AtomContext& c : index.contexts(site, atom, contexts_shown)) {
    if (c.kind == "top" && contexts.size() < contexts_shown) contexts.push_back(context_of(index, c));
  }
  json out = {{"density", record.density},
              {"contexts", contexts},
              {"raises", words_of(index.raises(site, atom))},
              {"lowers", words_of(index.lowers(site, atom))}};
  if (!record.name.empty() && std::isfinite(record.score)) out["score"] = record.score;
  return out;
}

}  // namespace

void check_index(const AtomIndex& index, const std::string& weights_hash, const std::string& where) {
  require(index.about("hash") == weights_hash,
          "{} was built from other weights than this model's; build it again with crate atoms", where);
}

void name_atoms(Labels& labels, AtomIndex& index, Family family) {
  labels.atom = [&index, family](int64_t layer, int64_t atom) {
    return index.name_of(site_of(UnitKind::atom, layer, family), atom);
  };
}

std::string atom_notes(AtomIndex& index, const json& graph) {
  json atoms = json::object(), of = json::object();
  for (const json& node : graph.at("nodes")) {
    const std::string unit = node.at("crate").at("unit").get<std::string>();
    const std::size_t colon = unit.find(':');
    const std::string site = unit.substr(0, colon);
    if (colon == std::string::npos || !index.has(site)) continue;
    const int64_t atom = node.at("feature").get<int64_t>();
    const std::string key = fmt::format("{}:{}", site, atom);
    if (!atoms.contains(key)) atoms[key] = notes_on(index, site, atom);
    of[node.at("node_id").get<std::string>()] = key;
  }
  return json{{"atoms", atoms}, {"of", of}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace crate
