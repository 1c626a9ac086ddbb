// atom_notes: what an index of `crate atoms` knows of the atoms of a graph, for its page and for its labels.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "work/atoms/index.h"
#include "work/explain/graph_json.h"

namespace crate {

/// Throws Error unless the index was built from the weights of that hash: notes on other atoms would mislead.
void check_index(const AtomIndex& index, const std::string& weights_hash, const std::string& where);

/// Names of atoms for the labels of a graph; empty where the index gives none. The index must outlive the labels.
void name_atoms(Labels& labels, AtomIndex& index, Family family);

/// For every atom of the graph (to_json of graph_json.h) its density, the score of its name, its strongest contexts and
/// the tokens it raises and lowers most, as report_html of work/page reads them.
std::string atom_notes(AtomIndex& index, const nlohmann::json& graph);

}  // namespace crate
