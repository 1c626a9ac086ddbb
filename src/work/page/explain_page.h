// explain_page: an attribution graph as one self-contained HTML file that opens offline.
//
// The graph is the JSON of circuit-tracer and Neuronpedia's viewer (metadata, qParams, nodes, links). Of our own fields
// the page shows, where present:
//   metadata.crate  model {family, weights_sha256, ...}, meaning (of a unit, and how exact), target {text,
//   contrast_text,
//                   value}, residual and off (work/explain/explain.h), cuts [{at, units, stream, biases, sum,
//                   residual}], biases [{name, gives}]
//   nodes[].crate   gives (signed, to the target), block, unit ("blocks.3.ista.code:17:205")
// Everything that can be read without a program stands in the file as text: the sum, its residual, and a table of all
// nodes by contribution. The script adds the graph. Whatever a token holds, it is shown and never run.
#pragma once
#include <string>
#include <string_view>

namespace crate {

/// Throws Error naming the field when the graph is not of that schema.
/// `atoms_json` is what an index knows of the graph's atoms:
///   {"atoms": {KEY: {density, score, contexts: [{tokens, values} or {title, value}], raises: [{token, value}], lowers:
///   [...]}},
///    "of": {node_id: KEY}}
std::string report_html(std::string_view graph_json, std::string_view atoms_json = "{}");

}  // namespace crate
