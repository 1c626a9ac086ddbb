// explain_page: an attribution graph as one self-contained HTML file that opens offline.
//
// The graph is the JSON of circuit-tracer and Neuronpedia's viewer (metadata, qParams, nodes, links). Of our own fields
// the page shows, where present:
//   metadata.crate  family, model, model_sha256, unit (what one is) and exactness, sentences both, target {text,
//                   contrast, value}, sum, residual and off (work/explain/explain.h), cuts [{name, parts, units,
//                   stream, biases, sum, residual}]
//   nodes[]         contribution (signed, to the target), site ("blocks.3.ista.code:17:205")
// Everything that can be read without a program stands in the file as text: the sum, its residual, and a table of all
// nodes by contribution. The script adds the graph. Whatever a token holds, it is shown and never run.
#pragma once
#include <string>
#include <string_view>

namespace crate {

/// What is known beyond the graph.
struct PageExtras {
  /// {"atoms": {KEY: {density, score, contexts: [{tokens, values}], raises: [{token, value}], lowers: [...]}},
  ///  "of": {node_id: KEY}}
  std::string atoms_json = "{}";
  /// The explained image as PNG, with its grid of patches; patch (0, 0) stands at position `first`.
  std::string image_png = {};
  int image_rows = 0, image_columns = 0, image_first = 0;
};

/// Throws Error naming the field when the graph is not of that schema.
std::string report_html(std::string_view graph_json, const PageExtras& extras = {});

}  // namespace crate
