// Names of atoms from the index, and the explanation as a page.
#include <filesystem>
#include <set>

#include "base/error.h"
#include "cli/explanation.h"
#include "model/directory.h"
#include "work/explain/graph_file.h"
#include "work/page/explain_page.h"

namespace crate::cli {
namespace {

using nlohmann::json;

constexpr int64_t contexts_shown = 5;
constexpr std::size_t tokens_shown = 10;

std::string site_of(int64_t layer, Family family) {
  const std::string name = name_of({UnitKind::atom, layer, 0, 0}, family);
  return name.substr(0, name.find(':'));
}

json effects(const std::vector<TokenValue>& values) {
  json out = json::array();
  for (std::size_t i = 0; i < std::min(tokens_shown, values.size()); ++i)
    out.push_back({{"token", shown(values[i].text)}, {"value", values[i].value}});
  return out;
}

json atom_of(AtomIndex& index, const std::string& site, int64_t atom) {
  const AtomRecord record = index.record(site, atom);
  json contexts = json::array();
  for (const AtomContext& c : index.contexts(site, atom, contexts_shown)) {
    json tokens = json::array();
    for (const std::string& text : c.texts) tokens.push_back(shown(text));
    if (c.kind == "top") contexts.push_back({{"tokens", tokens}, {"values", c.values}});
  }
  json out = {{"density", record.density},
              {"contexts", contexts},
              {"raises", effects(index.raises(site, atom))},
              {"lowers", effects(index.lowers(site, atom))}};
  if (!record.name.empty()) out["score"] = record.score;
  return out;
}

}  // namespace

std::unique_ptr<AtomIndex> index_of(const std::string& folder, const std::string& file) {
  const std::string path = file.empty() ? (std::filesystem::path(folder) / "atoms.sqlite").string() : file;
  if (file.empty() && !std::filesystem::exists(path)) return nullptr;
  auto index = std::make_unique<AtomIndex>(path);
  const bool same = index->about("hash") == DirectoryReader(folder).hash("model.safetensors");
  require(same || file.empty(), "{} is the index of another model than {}: make one with crate atoms", path, folder);
  return same ? std::move(index) : nullptr;
}

void name_atoms(Labels& labels, AtomIndex* index, Family family) {
  if (index == nullptr) return;
  labels.atom = [index, family](int64_t layer, int64_t atom) {
    return shown(index->name_of(site_of(layer, family), atom));
  };
}

std::string page_of(const ExplainedInput& explained, const Input& input) {
  PageExtras extras;
  const Family family = input.model->config().family;
  if (input.index) {
    json atoms = json::object(), of = json::object();
    for (const json& node : explained.document["nodes"]) {
      if (node["feature_type"] == "attention head" || node["layer"] == "E" || node["is_target_logit"] == true) continue;
      const Unit unit = unit_of(node["site"].get<std::string>(), family);
      const std::string site = site_of(unit.layer, family), key = fmt::format("{}:{}", site, unit.index);
      if (!input.index->has(site) || unit.index >= input.index->atoms(site)) continue;
      if (!atoms.contains(key)) atoms[key] = atom_of(*input.index, site, unit.index);
      of[node["node_id"].get<std::string>()] = key;
    }
    extras.atoms_json = json{{"atoms", atoms}, {"of", of}}.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  if (is_image(family)) {
    const ImageConfig& c = input.model->config().image;
    const Image image = image_of_text(input.recorded["image_png"].get<std::string>(), "image");
    const std::vector<std::byte> png = encode_png(image);
    extras.image_png.assign(reinterpret_cast<const char*>(png.data()), png.size());
    extras.image_rows = static_cast<int>(c.rows());
    extras.image_columns = static_cast<int>(c.columns());
    extras.image_first = c.class_token ? 1 : 0;
  }
  return report_html(explained.document.dump(-1, ' ', false, json::error_handler_t::replace), extras);
}

}  // namespace crate::cli
