// export: an index in the forms that other tools read.
//
//   SAEDashboard / Neuronpedia: batch-N.json, {model_id, layer, sae_set, sae_id_suffix, features: [...]}
//   NeuronRecord (OpenAI's neuron viewer and its kin): one JSON object an atom
// The keys are theirs. What they expect and an index does not have is empty: neuron_alignment_* and
// correlated_neurons_* belong to dictionaries trained on another model's neurons. Top contexts are a bin whose
// bin_contains is -1.
#pragma once
#include <functional>
#include <string>

#include "work/atoms/index.h"

namespace crate {

/// One batch as JSON text: atoms first .. first + count - 1 of a site.
std::string dashboard_batch(AtomIndex& index, const std::string& site, int64_t first, int64_t count);
/// One atom as a NeuronRecord; its layer is the number in the site's name.
std::string neuron_record(AtomIndex& index, const std::string& site, int64_t atom);

enum class AtomFormat : uint8_t { dashboard, neuron_records };
struct ExportOptions {
  AtomFormat format = AtomFormat::dashboard;
  std::string site = {};         // empty: all
  int64_t first = 0, count = 0;  // of each site; 0: to its end
  int64_t batch = 64;            // atoms a dashboard file
};

/// dashboard: OUT/SITE/batch-N.json. neuron_records: OUT/SITE/ATOM.json. Gives the number of files.
int64_t export_atoms(AtomIndex& index, const std::string& out, const ExportOptions& options,
                     const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace crate
