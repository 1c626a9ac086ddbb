// card: what a report holds: every measure on every model, as trained, untrained and rotated, for every seed.
//
//   trained    the model as it is
//   untrained  the same configuration with its initial weights: what a score is worth before anything was learned
//   rotated    the trained model's layers looked at along random orthonormal directions instead of units (units.h)
//
// The headline is the excess: trained less untrained. Two models are compared by their excesses, so that what an
// architecture owes to its shape alone does not count for it.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "work/report/bootstrap.h"

namespace crate {

enum class Variant : uint8_t { trained, untrained, rotated };
constexpr std::array<Variant, 3> variants = {Variant::trained, Variant::untrained, Variant::rotated};
const char* name_of(Variant v);

struct Measure {
  const char* id;       // "probe.pos.k5"
  const char* group;    // "Sparse probing"
  const char* title;    // what the table's row is called
  const char* formula;  // what it is, in a line or two
  int better;           // 1: more, -1: less, 0: neither
  bool headline;        // enters the table of excesses
};

/// In the order of the tables.
const std::vector<Measure>& measures();
const Measure& measure_of(const std::string& id);

/// One measure on one variant of one model, with each seed's mean by layer where it has one.
struct Cell {
  Samples samples;
  std::vector<std::vector<double>> by_layer;
  bool empty() const { return samples.seeds.empty() || samples.empty(); }
  /// Mean over the seeds; NaN where there is none.
  double layer_mean(int layer) const;
};

struct ReportedModel {
  std::string name;  // "white box", "twin"
  std::string family;
  std::vector<std::string> folders;  // one a seed
  std::vector<std::string> hashes;   // SHA-256 of their weights
  int64_t parameters = 0, layers = 0, units = 0;
};

struct ReportCard {
  std::array<ReportedModel, 2> models;                        // the model, its twin
  std::vector<std::pair<std::string, std::string>> settings;  // what was measured on what
  std::map<std::string, std::array<std::array<Cell, 3>, 2>> cells;

  /// Adds a seed's items. Throws Error on values that are no numbers.
  void add(const std::string& id, int model, Variant v, std::vector<double> items, std::vector<double> by_layer = {});
  /// The same for items of which every layer has as many, layers in order.
  void add_layers(const std::string& id, int model, Variant v, std::vector<double> items, int64_t layers);
  const Cell* find(const std::string& id, int model, Variant v) const;
};

/// What the excesses of two models say. `ahead`: 0 the model, 1 the twin, -1 neither.
struct Verdict {
  Interval white, twin, difference;
  int ahead = -1;
};
/// Throws Error when a cell is missing.
Verdict verdict_on(const ReportCard& card, const Measure& m);
/// Are trained and untrained values of both models there?
bool has_excess(const ReportCard& card, const Measure& m);

std::string to_json(const ReportCard& card);
std::string to_markdown(const ReportCard& card);
/// One self-contained page.
std::string to_html(const ReportCard& card);

}  // namespace crate
