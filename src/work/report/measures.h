// measures: one function a measure: what it computes of one model and enters into the card.
#pragma once
#include <cstdint>
#include <vector>

#include "work/report/card.h"
#include "work/report/causal.h"

namespace crate {

/// What every model is measured on.
struct Material {
  const Tokenizer& tokenizer;
  Tokens text;
  AtomCorpus corpus;
  std::vector<Window> windows;
  std::vector<Place> fit_places, judge_places;  // word classes
  std::vector<LabelledText> sst2_fit, sst2_judge;
};

/// Fit and judge places in the order of the text, as read_windows wants them.
struct Places {
  std::vector<Place> all;
  std::vector<char> judged;
};
Places all_places(const Material& material);

/// One view of one model.
struct Measured {
  ReportCard& card;
  int model;
  Variant variant;
  LanguageModel& subject;
  const View& view;
  const ViewReading& reading;
};

void measure_loss(ReportCard& card, int m, Variant v, LanguageModel& model, const Material& material);
void measure_geometry(const Measured& at);
void measure_word_classes(const Measured& at, const Places& places);
void measure_sst2(const Measured& at, const Material& material);
/// With a rotated view, of the first `units` directions.
struct MeaningOptions {
  int64_t tokens = 131072;  // of the text
  int64_t units = 128;      // of each layer
  uint64_t seed = 1;
};
void measure_meaning(const Measured& at, const Material& material, const MeaningOptions& options);
struct FaithOptions {
  int64_t prompts = 16;
  int64_t length = 64;  // tokens of a prompt
  uint64_t seed = 1;
};
void measure_faithfulness(ReportCard& card, int m, Variant v, LanguageModel& model, const Material& material,
                          const FaithOptions& options);
/// The fewest contributions, the largest first, after which what is missing of the target never again exceeds
/// (1 - share) of it.
int64_t writers_needed(std::vector<double> contributions, double target, double share);
void measure_causality(const Measured& at, const Material& material, const CausalOptions& options);

}  // namespace crate
