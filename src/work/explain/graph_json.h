// graph_json: an explanation as the attribution graph that circuit-tracer and Neuronpedia read: metadata, qParams,
// nodes, links (docs/formats.md lists the fields). What is ours lies under `crate`: everything that `crate verify`
// needs to compute the numbers again, and the sums that hold.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "work/explain/graph.h"
#include "work/explain/served.h"

namespace crate {

/// What an explanation must be traced back to.
struct Provenance {
  std::string model;         // its name
  std::string weights_hash;  // SHA-256 of model.safetensors
  std::string config_hash;   // and of config.json
  std::string device;        // that serves: cpu or ref
};

/// How inputs and scores are written for people.
struct Labels {
  std::vector<std::string> inputs;                    // one a position
  std::string prompt;                                 // the whole input
  std::function<std::string(int64_t)> score;          // a token or class
  std::function<std::string(int64_t, int64_t)> atom;  // (layer, index): its name, or nothing
};

/// One row of a walk with its explanation and graph.
struct Explained {
  const Walk& walk;
  const Explanation& explanation;
  const Graph& graph;
  const Served& served;
  GraphOptions options;
};

/// `input` is what verify needs to run the model again: {"tokens": [...]}.
nlohmann::json to_json(const Explained& explained, const Provenance& provenance, const Labels& labels,
                       const nlohmann::json& input);

}  // namespace crate
