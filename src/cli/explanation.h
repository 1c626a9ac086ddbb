// explanation: what `crate explain`, `crate verify` and `crate generate --explain` share: labels and text.
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "work/atoms/index.h"
#include "work/data/tokenizer.h"
#include "work/explain/check.h"
#include "work/explain/graph_json.h"
#include "work/image/image.h"

namespace crate::cli {

/// A token as one line of text: control characters and broken UTF-8 escaped.
std::string shown(std::string_view bytes);

/// A model in float64, which is explained, and beside it the one that serves.
struct Input {
  std::unique_ptr<AtomIndex> index;  // names of atoms, where there is one
  std::unique_ptr<Device> exact;
  std::unique_ptr<Model> model, serving;
  std::unique_ptr<Tokenizer> tokenizer;  // of a text
  std::unique_ptr<Subject> subject, served;
  Labels labels;
  nlohmann::json recorded;
  /// In both subjects.
  void change(const std::vector<Intervention>& changes);
};
/// `device` is that of the model that serves.
Input text_input(Device& device, const std::string& folder, const std::vector<int32_t>& tokens);
/// An image of any size is scaled and cut to the model's; one of the model's size stays as it is.
Input image_input(Device& device, const std::string& folder, const Image& image, const std::string& name);

/// The index that `crate atoms` wrote for this model: `file`, or atoms.sqlite in the model directory, or none. Throws
/// Error when `file` is the index of another model.
std::unique_ptr<AtomIndex> index_of(const std::string& folder, const std::string& file);
/// The most likely target, or what was asked for: a token or class by text or #NUMBER, or a unit by name.
Target target_of(const Input& input, const std::string& target, const std::string& contrast);

Labels labels_of(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens);
Provenance provenance_of(const std::string& model_folder, const std::string& device);

/// The whole document for the only row of a walk.
struct ExplainedInput {
  Served served;
  Explanation explanation;
  Graph graph;
  nlohmann::json document;
};
ExplainedInput explain_input(const Walk& walk, const Input& input, const GraphOptions& options,
                             const Provenance& provenance);

/// The table of `crate explain`.
void print_explanation(const Walk& walk, const ExplainedInput& explained, const Labels& labels, int64_t rows);
void print_ablations(const std::vector<Ablation>& ablations, Family family);

/// One line: what gave most to a token.
std::string line_of(const Explanation& explanation, const Labels& labels);
/// The same as an object.
nlohmann::json summary_of(const Explanation& explanation, const Labels& labels, Family family);

}  // namespace crate::cli
