// report: measures a model beside its black-box twin, untrained copies of both, and rotated layers of both, with no
// other model as judge. What each measure is stands in card.h; docs/report.md tells how to read it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "work/report/card.h"
#include "work/report/measures.h"

namespace crate {

struct ReportOptions {
  std::string part = "val";     // of a prepared folder
  std::string document_prefix;  // of plain text
  double tail = 1;              // only the last so large part of the text, what training held out
  int64_t tokens = 65536;       // read by every model
  int64_t window = 128;         // tokens a model sees at once; at most its context
  int64_t units = 512;          // of each layer, drawn by chance where there are more
  int64_t probe_each = 400;     // tokens of a word class to fit on; half as many to judge on
  std::string sst2;             // folder with train.tsv and dev.tsv; empty: not measured
  int64_t sst2_train = 2000;
  FaithOptions faith = {};
  MeaningOptions meaning = {};
  CausalOptions causal = {};
  uint64_t seed = 1;
  std::function<void(const std::string& what, double fraction)> progress = {};
};

/// `models` and `twins`: directories of the same model with different training seeds, one at least of each; the k-th of
/// both belong together. Throws Error when their tokenizers differ, when a list mixes configurations, or when there is
/// too little text.
ReportCard make_report(const std::vector<std::string>& models, const std::vector<std::string>& twins,
                       const std::string& data, const ReportOptions& options);

}  // namespace crate
