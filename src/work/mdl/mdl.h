// mdl: which is the shortest program that prints a text? Trains a white box and its rivals as crate compare does,
// rounds them, codes the text under them, and holds that against other compressors.
//
//   [mdl]                      # beside the [compare] and [arm.NAME] of an experiment (compare/experiment.h)
//   sample = 65536             # bytes of the text, from all over it, that the models code
//   widths = [3, 4, 6, 8]      # bits a weight that are tried
//   sizes = [0.25, 0.5]        # MB of text for the figure, besides the whole
//
// The reference stays as it is; of every other arm three are made:
//   NAME at equal parameters, at equal FLOPs     sized before training (compare/size.h)
//   NAME at equal total bits                     of the width at which a line through the two-part totals of these two,
//                                                over the logarithm of their parameters, meets the reference's
// A control is the reference with the weights it was born with, which a seed writes down.
//
// The folder holds the runs, the integers of every model (NAME.crq), the text, and every measurement; run again, it
// takes up where it was.
#pragma once
#include "work/compare/compare.h"
#include "work/mdl/table.h"

namespace crate {

struct LengthPlan {
  Experiment experiment;
  int64_t sample = 65536;
  std::vector<int> widths = {3, 4, 6, 8};
  std::vector<double> sizes;  // MB
};

/// `overrides` ("section.key=value", section.key of a training recipe) reach every arm. Throws Error.
LengthPlan load_length_plan(const std::string& path, const std::vector<std::string>& overrides = {});

struct LengthOptions {
  std::string out;
  std::string crate;        // the command that codes under a model: this program's own file
  std::string source;       // folder of the program's source, or empty: that column stays open
  CompareOptions training;  // its hooks; its folder is not read
  std::function<void(const std::string&)> doing = {};
};

/// Throws Error; what was measured is kept.
LengthTable measure_lengths(const LengthPlan& plan, const LengthOptions& options);

}  // namespace crate
