#include "work/explain/check.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "work/explain/numbers.h"

namespace crate {
namespace {

constexpr std::size_t together = 16;  // units a run, one a row of its batch

/// Sets one unit a row to zero; reads the targets' codes when the target is a unit.
class Eraser final : public Tap {
 public:
  Eraser(const Subject& network, std::span<const Part> parts, const Unit& target)
      : parts_(parts), config_(network.config()), changes_(network.tap_for(nullptr)) {
    for (const Part& part : parts) sites_.push_back(site_of(part.unit.kind, part.unit.layer, config_.family));
    target_site_ = site_of(target.kind, target.layer, config_.family);
  }
  bool wants(std::string_view site) override { return site == target_site_; }
  bool edits(std::string_view site) override {
    return changes_.edits(site) || std::find(sites_.begin(), sites_.end(), site) != sites_.end();
  }
  void see(std::string_view, const Tensor& value) override {
    code.resize(static_cast<std::size_t>(value.numel()));
    read_numbers(value, 0, code);
    positions = value.shape[1];
  }
  void edit(std::string_view site, const Tensor& value) override {
    changes_.edit(site, value);
    const int64_t n = value.shape[1], width = value.cols();
    for (std::size_t row = 0; row < sites_.size(); ++row) {
      if (sites_[row] != site) continue;
      const Unit& u = parts_[row].unit;
      const int64_t each = u.kind == UnitKind::head ? width / config_.heads : 1;
      const int64_t at = (static_cast<int64_t>(row) * n + u.position) * width + u.index * each;
      const std::size_t size = size_of(value.dtype);
      std::memset(static_cast<std::byte*>(value.data) + static_cast<std::size_t>(at) * size, 0,
                  static_cast<std::size_t>(each) * size);
    }
  }
  std::vector<double> code;
  int64_t positions = 0;

 private:
  std::span<const Part> parts_;
  const ModelConfig& config_;
  InterventionTap changes_;
  std::vector<std::string> sites_;
  std::string target_site_;
};

double target_in(const Explanation& e, const Tensor& scores, const Eraser& eraser, int64_t rows, int64_t row) {
  const Target& t = e.target;
  if (t.is_unit) {
    const auto each = static_cast<int64_t>(eraser.code.size()) / rows, n = eraser.positions;
    return eraser.code[static_cast<std::size_t>(row * each + t.unit.position * (each / n) + t.unit.index)];
  }
  return score_of(t, scores, row);
}

}  // namespace

std::vector<Ablation> ablate(const Subject& network, const Explanation& explanation, const std::vector<Part>& parts) {
  require(network.batch() == 1, "[explain] expected one row to run again, came {}", network.batch());
  const auto values = [&](std::span<const Part> erased) {
    const int64_t rows = std::max<int64_t>(1, std::ssize(erased));
    const auto subject = network.repeated(0, rows);
    Eraser eraser(network, erased, explanation.unit);
    Run run(subject->device(), {.tap = &eraser});
    const Tensor scores = subject->forward(run);
    std::vector<double> out;
    for (int64_t row = 0; row < rows; ++row) out.push_back(target_in(explanation, scores, eraser, rows, row));
    return out;
  };
  const double before = values({})[0];
  std::vector<Ablation> out;
  for (std::size_t begin = 0; begin < parts.size(); begin += together) {
    const auto some = std::span(parts).subspan(begin, std::min(together, parts.size() - begin));
    const std::vector<double> now = values(some);
    for (std::size_t i = 0; i < some.size(); ++i) out.push_back({some[i].unit, -some[i].gives, now[i] - before});
  }
  return out;
}

Agreement agreement_of(const std::vector<Ablation>& ablations) {
  double p = 0, a = 0, pp = 0, aa = 0, pa = 0;
  const auto n = static_cast<double>(ablations.size());
  for (const Ablation& x : ablations) {
    p += x.predicted;
    a += x.actual;
    pp += x.predicted * x.predicted;
    aa += x.actual * x.actual;
    pa += x.predicted * x.actual;
  }
  Agreement out;
  if (pp > 0) out.slope = pa / pp;
  const double spread = (n * pp - p * p) * (n * aa - a * a);
  if (spread > 0) out.correlation = (n * pa - p * a) / std::sqrt(spread);
  return out;
}

}  // namespace crate
