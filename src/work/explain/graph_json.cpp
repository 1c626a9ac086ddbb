#include "work/explain/graph_json.h"

#include <algorithm>
#include <cmath>

namespace crate {
namespace {

using nlohmann::json;

constexpr std::size_t heads_with_sources = 64;  // of those that give most; the others are in the nodes and the cuts

class GraphWriter {
 public:
  GraphWriter(const Explained& x, const Provenance& provenance, const Labels& labels)
      : x_(x),
        e_(x.explanation),
        g_(x.graph),
        config_(x.walk.subject().config()),
        provenance_(provenance),
        labels_(labels),
        meaning_(meaning_of_units(config_)) {}

  json write(const json& input) const {
    json nodes = json::array(), links = json::array();
    for (std::size_t i = 0; i < g_.keep.size(); ++i) {
      if (g_.keep[i]) nodes.push_back(node(i));
    }
    for (std::size_t i = 0; i < g_.all.edges.size(); ++i) {
      const Edge& edge = g_.all.edges[i];
      if (!g_.keep_edge[i]) continue;
      links.push_back({{"source", id(g_.all.units[static_cast<std::size_t>(edge.from)])},
                       {"target", id(g_.all.units[static_cast<std::size_t>(edge.to)])},
                       {"weight", edge.weight}});
    }
    return {{"metadata", metadata(input)},
            {"qParams",
             {{"pinnedIds", json::array()},
              {"supernodes", json::array()},
              {"linkType", "both"},
              {"clickedId", ""},
              {"sg_pos", ""}}},
            {"nodes", nodes},
            {"links", links}};
  }

 private:
  std::string name(const Unit& u) const { return name_of(u, config_.family); }

  /// Rows of the drawing: E, then the heads and the atoms of each block, then the target.
  std::string row_of(const Unit& u) const {
    switch (u.kind) {
      case UnitKind::token:
      case UnitKind::position:
        return "E";
      case UnitKind::head:
        return std::to_string(2 * u.layer);
      case UnitKind::atom:
        return std::to_string(2 * u.layer + 1);
      case UnitKind::logit:
        return std::to_string(2 * config_.layers);
    }
    return {};
  }
  std::string id(const Unit& u) const {
    if (u.kind == UnitKind::position) return fmt::format("E_pos_{}", u.position);
    return fmt::format("{}_{}_{}", row_of(u), u.index, u.position);
  }
  std::string type_of(const Unit& u) const {
    switch (u.kind) {
      case UnitKind::token:
        return is_image(config_.family) ? "patch" : "embedding";
      case UnitKind::position:
        return "position";
      case UnitKind::head:
        return "attention head";
      case UnitKind::atom:
        return meaning_.name;
      case UnitKind::logit:
        return "logit";
    }
    return {};
  }
  std::string input_at(int64_t position) const {
    const auto at = static_cast<std::size_t>(position);
    return at < labels_.inputs.size() ? labels_.inputs[at] : fmt::format("{}", position);
  }
  std::string label(const Unit& u) const {
    switch (u.kind) {
      case UnitKind::token:
        return fmt::format("\"{}\"", input_at(u.position));
      case UnitKind::position:
        return fmt::format("position {}", u.position);
      case UnitKind::head:
        return fmt::format("block {} head {} at \"{}\"", u.layer, u.index, input_at(u.position));
      case UnitKind::atom: {
        const std::string known = labels_.atom ? labels_.atom(u.layer, u.index) : "";
        return known.empty()
                   ? fmt::format("block {} {} {} at \"{}\"", u.layer, type_of(u), u.index, input_at(u.position))
                   : known;
      }
      case UnitKind::logit: {
        const std::string score = fmt::format("\"{}\"", labels_.score(e_.target.score));
        if (e_.target.contrast < 0) return score;
        return fmt::format("{} rather than \"{}\"", score, labels_.score(e_.target.contrast));
      }
    }
    return {};
  }

  json node(std::size_t i) const {
    const Unit& u = g_.all.units[i];
    const Inflow& in = g_.all.inflows[i];
    const bool last = i + 1 == g_.keep.size();
    json ours = {{"unit", name(u)}, {"gives", g_.all.gives[i]}, {"influence", g_.influence[i]}};
    if (u.kind == UnitKind::head || u.kind == UnitKind::atom) ours["block"] = u.layer;
    if (u.kind != UnitKind::token && u.kind != UnitKind::position) {
      ours["unlisted"] = in.rest;
      ours["biases"] = in.biases;
    }
    return {{"node_id", id(u)},           {"feature", u.index},
            {"layer", row_of(u)},         {"ctx_idx", u.position},
            {"feature_type", type_of(u)}, {"token_prob", last && !e_.target.is_unit ? e_.probability : 0.0},
            {"is_target_logit", last},    {"run_idx", 0},
            {"reverse_ctx_idx", 0},       {"jsNodeId", id(u)},
            {"clerp", label(u)},          {"influence", g_.held[i]},
            {"activation", in.value},     {"crate", ours}};
  }

  json target() const {
    const Target& t = e_.target;
    json out = {{"unit", name(e_.unit)}, {"value", e_.value}, {"text", label(e_.unit)}};
    if (t.is_unit) return out;
    out["position"] = t.position;
    out["score"] = t.score;
    out["text"] = labels_.score(t.score);
    out["probability"] = e_.probability;
    if (t.contrast < 0) return out;
    out["contrast"] = t.contrast;
    out["contrast_text"] = labels_.score(t.contrast);
    return out;
  }

  json ours(const json& input) const {
    json cuts = json::array(), sources = json::array(), heads = json::array(), biases = json::array();
    for (const Cut& c : e_.cuts)
      cuts.push_back({{"at", c.at},
                      {"parts", c.parts},
                      {"units", c.units},
                      {"stream", c.stream},
                      {"biases", c.biases},
                      {"size", c.size},
                      {"sum", c.sum()},
                      {"residual", c.residual}});
    for (std::size_t i = 0; i < e_.tokens.size(); ++i)
      sources.push_back(
          {{"text", input_at(static_cast<int64_t>(i))}, {"gives", e_.tokens[i]}, {"position_gives", e_.positions[i]}});
    for (std::size_t i = 0; i < std::min(heads_with_sources, e_.heads.size()); ++i)
      heads.push_back({{"unit", name(e_.heads[i].unit)},
                       {"gives", e_.heads[i].gives},
                       {"from", sources_of(x_.walk, e_.row, e_.heads[i].unit)}});
    for (const auto& [bias, gives] : e_.biases) biases.push_back({{"name", bias}, {"gives", gives}});
    json changes = json::array();
    for (const Intervention& c : x_.walk.subject().changes().list)
      changes.push_back({{"kind", name_of(c.change)}, {"what", to_text(c)}});
    return {{"format", 1},
            {"model",
             {{"name", provenance_.model},
              {"weights_sha256", provenance_.weights_hash},
              {"config_sha256", provenance_.config_hash},
              {"family", name_of(config_.family)},
              {"layers", config_.layers},
              {"dim", config_.dim},
              {"heads", config_.heads},
              {"atoms", config_.n_atoms()}}},
            {"device", provenance_.device},
            {"numbers", x_.walk.subject().device().real() == Dtype::f64 ? "float64" : "float32"},
            {"served",
             {{"value", x_.served.value},
              {"distance", x_.served.distance(e_.value)},
              {"active_sets", {{"entries", x_.served.entries}, {"differ", x_.served.differ}}}}},
            {"changes", changes},
            {"input", input},
            {"target", target()},
            {"options", {{"top", x_.options.top}}},
            {"meaning", meaning_.what + " " + meaning_.exactness},
            {"residual", e_.residual()},
            {"off", e_.off()},
            {"edge_residual", g_.all.residual()},
            {"influence_reaching_input", g_.reached},
            {"error_nodes", 0},
            {"cuts", cuts},
            {"sources", sources},
            {"heads", heads},
            {"biases", biases}};
  }

  json metadata(const json& input) const {
    return {{"slug", fmt::format("{}-{}", provenance_.model, e_.unit.position)},
            {"scan", provenance_.model},
            {"prompt_tokens", labels_.inputs},
            {"prompt", labels_.prompt},
            {"node_threshold", g_.node_threshold},
            {"edge_threshold", g_.edge_threshold},
            {"info", {{"generator", {{"name", "crate"}, {"version", "0.1.0"}}}}},
            {"crate", ours(input)}};
  }

  const Explained& x_;
  const Explanation& e_;
  const Graph& g_;
  const ModelConfig& config_;
  const Provenance& provenance_;
  const Labels& labels_;
  UnitMeaning meaning_;
};

}  // namespace

json to_json(const Explained& explained, const Provenance& provenance, const Labels& labels, const json& input) {
  return GraphWriter(explained, provenance, labels).write(input);
}

}  // namespace crate
