// graphs: attribution graphs for the pages' tests, of any size, and one whose texts try to break out.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"

namespace crate {

struct ExampleSize {
  int layers = 4, units = 6;  // units at most of a layer and position
  int heads = 2;
  double links = 0.2;  // share of all pairs from a lower to a higher row
};

namespace example {

inline nlohmann::json node(const std::string& id, const char* type, int block, int at, const std::string& name,
                           double contribution) {
  nlohmann::json ours = {{"unit", id}, {"gives", contribution}};
  if (block >= 0) ours["block"] = block;
  return {{"node_id", id},
          {"feature", 17},
          {"layer", block < 0 ? "E" : std::to_string(block)},
          {"ctx_idx", at},
          {"feature_type", type},
          {"jsNodeId", id},
          {"clerp", name},
          {"activation", std::abs(contribution) * 2},
          {"influence", nullptr},
          {"crate", ours}};
}

inline double contribution_of(const nlohmann::json& node) { return node["crate"]["gives"].get<double>(); }

// Influence as circuit-tracer tells it: the share of all |contribution| from the largest down to this node.
inline void set_influence(nlohmann::json& nodes) {
  std::vector<nlohmann::json*> order;
  double total = 0, sum = 0;
  for (auto& n : nodes) {
    order.push_back(&n);
    total += std::abs(contribution_of(n));
  }
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return std::abs(contribution_of(*a)) > std::abs(contribution_of(*b)); });
  for (auto* n : order) (*n)["influence"] = std::min(1.0, sum += std::abs(contribution_of(*n)) / total);
}

}  // namespace example

/// A graph over `tokens` that predicts `target`: contributions fall off from the end and vary by an addressed draw.
inline nlohmann::json example_graph(const std::vector<std::string>& tokens, const std::string& target,
                                    const ExampleSize& size = {}) {
  using nlohmann::json;
  const Rng rng(7, Stream::test);
  json nodes = json::array(), links = json::array();
  const int n = static_cast<int>(tokens.size());
  uint64_t draw = 0;
  const auto next = [&] { return rng.uniform(1, draw++); };
  for (int i = 0; i < n; ++i)
    nodes.push_back(example::node(fmt::format("E_{}_{}", i, i), "embedding", -1, i, "", next() * next() - 0.1));
  for (int l = 0; l < size.layers; ++l) {
    for (int i = 0; i < n; ++i) {
      for (int h = 0; h < size.heads; ++h) {
        if (next() < 0.3)
          nodes.push_back(example::node(fmt::format("{}_h{}_{}", l, h, i), "attention head", l, i,
                                        fmt::format("head {}", h), std::pow(next(), 4) - 0.1));
      }
      const int units = static_cast<int>(next() * next() * (size.units + 1));
      for (int u = 0; u < units; ++u)
        nodes.push_back(
            example::node(fmt::format("{}_{}_{}", l, u, i), "atom", l, i,
                          u % 3 == 0 ? fmt::format("atom {}", 100 * l + u) : fmt::format("places in {}", 1900 + u),
                          2 * std::pow(next(), 6) - 0.15 * next()));
    }
  }
  example::set_influence(nodes);
  const auto row = [](const json& x) {
    return x["layer"] == "E" ? -1
                             : 2 * std::stoi(x["layer"].get<std::string>()) + (x["feature_type"] == "atom" ? 1 : 0);
  };
  for (const json& a : nodes) {
    for (const json& b : nodes) {
      const bool forward = row(a) < row(b) && a["ctx_idx"] <= b["ctx_idx"];
      if (forward && next() < size.links)
        links.push_back({{"source", a["node_id"]},
                         {"target", b["node_id"]},
                         {"weight", std::pow(next(), 5) - 0.2 * std::pow(next(), 6)}});
    }
    links.push_back({{"source", a["node_id"]}, {"target", "logit"}, {"weight", example::contribution_of(a)}});
  }
  double sum = 0;
  for (const json& x : nodes) sum += example::contribution_of(x);
  json aim = example::node("logit", "logit", size.layers, n - 1, "\"" + target + "\"", sum);
  aim["is_target_logit"] = true;
  aim["token_prob"] = 0.62;
  aim["influence"] = 0;
  nodes.push_back(aim);
  std::string prompt;
  for (const std::string& t : tokens) prompt += t;
  const auto cut = [&](const char* at, double stream, double residual) {
    return json{{"at", at},   {"units", sum - stream - 0.5}, {"stream", stream}, {"biases", 0.5}, {"size", 2 * sum},
                {"sum", sum}, {"residual", residual}};
  };
  return {{"metadata",
           {{"slug", "example"},
            {"scan", "crate-lm"},
            {"prompt_tokens", tokens},
            {"prompt", prompt},
            {"node_threshold", 0.8},
            {"crate",
             {{"format", 1},
              {"family", "crate-lm"},
              {"model", "demo-crate-lm"},
              {"model_sha256", std::string(64, 'a')},
              {"meaning",
               "an atom is a row of the dictionary; after each block the stream is a non-negative sum of atoms and "
               "nothing else"},
              {"sum", sum},
              {"target", {{"text", target}, {"value", sum}}},
              {"residual", 3.4e-8},
              {"off", 1.2e-8},
              {"cuts", json::array({cut("embed", 0, 2.1e-8), cut("blocks.0.heads", 1.5, 3.4e-8)})}}}}},
          {"qParams",
           {{"pinnedIds", json::array()},
            {"supernodes", json::array()},
            {"linkType", "both"},
            {"clickedId", ""},
            {"sg_pos", ""}}},
          {"nodes", nodes},
          {"links", links}};
}

/// What an index may know of two atoms of example_graph.
inline nlohmann::json example_atoms(const nlohmann::json& graph) {
  using nlohmann::json;
  json of = json::object();
  int i = 0;
  for (const json& n : graph["nodes"]) {
    if (n["feature_type"] == "atom") of[n["node_id"].get<std::string>()] = i++ % 2 == 0 ? "a" : "b";
  }
  const json context = {{"tokens", {"The", " ship", " reached", " Lis", "bon", " in", " May", "."}},
                        {"values", {0, 0, 0, 1.5, 3.25, 0, 0.4, 0}}};
  const json atom = {
      {"density", 0.0123},
      {"score", 0.71},
      {"contexts", json::array({context, context, context})},
      {"raises", json::array({{{"token", " Portugal"}, {"value", 1.2}}, {{"token", " harbour"}, {"value", 0.8}}})},
      {"lowers", json::array({{{"token", " the"}, {"value", -0.3}}})}};
  json silent = atom;
  silent["density"] = 0;
  silent["contexts"] = json::array();
  return {{"atoms", {{"a", atom}, {"b", silent}}}, {"of", of}};
}

/// Texts that try to end an element, run, reorder or vanish.
inline std::vector<std::string> hostile_tokens() {
  return {"</script><script>window.broken=1</script>",
          "<img src=x onerror=\"window.broken=1\">",
          "\" onmouseover=\"window.broken=1",
          std::string("nul\0byte", 8),
          "\x1b[31mred\x07",
          "right\xE2\x80\xAEtfel",      // U+202E
          "zero\xE2\x80\x8Bwidth",      // U+200B
          "line\xE2\x80\xA8separator",  // U+2028
          "{{graph}}",
          "日本語 \xF0\x9F\x8C\x8D",
          "  ",
          "",
          "\n",
          "-->]]>&amp;&lt;",
          "'; window.broken=1; '"};
}

/// Ends with `hostile` wherever a text may stand.
inline nlohmann::json hostile_graph() {
  nlohmann::json graph =
      example_graph(hostile_tokens(), "</title><script>window.broken=1</script>", {.layers = 2, .units = 2});
  int i = 0;
  for (auto& n : graph["nodes"]) n["clerp"] = hostile_tokens()[static_cast<std::size_t>(i++) % hostile_tokens().size()];
  for (auto& n : graph["nodes"]) {
    if (n["feature_type"] == "atom") n["feature_type"] = "<b>unit</b>";
  }
  graph["metadata"]["crate"]["unit"] = "</section></main><script>window.broken=1</script>";
  graph["qParams"]["supernodes"] = nlohmann::json::array({{"<i>group</i>", graph["nodes"][0]["node_id"]}});
  return graph;
}

}  // namespace crate
