// explanation: what `crate explain`, `crate verify` and `crate generate --explain` share: labels and text.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "work/data/tokenizer.h"
#include "work/explain/check.h"
#include "work/explain/graph_json.h"

namespace crate::cli {

/// A token as one line of text: control characters and broken UTF-8 escaped.
std::string shown(std::string_view bytes);

Labels labels_of(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens);
Provenance provenance_of(const std::string& model_folder, const std::string& device);

/// The whole document for the only row of a walk over one text.
struct ExplainedText {
  Explanation explanation;
  Graph graph;
  nlohmann::json document;
};
ExplainedText explain_text(const Walk& walk, const std::vector<int32_t>& tokens, const GraphOptions& options,
                           const Provenance& provenance, const Labels& labels);

/// The table of `crate explain`.
void print_explanation(const Walk& walk, const ExplainedText& explained, const Labels& labels, int64_t rows);
void print_ablations(const std::vector<Ablation>& ablations, Family family);

/// One line: what gave most to a token.
std::string line_of(const Explanation& explanation, const Labels& labels);
/// The same as an object.
nlohmann::json summary_of(const Explanation& explanation, const Labels& labels, Family family);

}  // namespace crate::cli
