#include "work/explain/served.h"

#include <algorithm>
#include <cmath>

#include "work/explain/numbers.h"

namespace crate {
namespace {

/// Compares the codes that come by with those of the walk.
class Gates final : public Tap {
 public:
  Gates(const Walk& walk, Served& to) : walk_(walk), to_(to) {
    const Family family = walk.subject().config().family;
    for (int64_t i = 0; i < walk.layers(); ++i) sites_.push_back(site_of(UnitKind::atom, i, family));
  }
  bool wants(std::string_view site) override { return layer_of(site) < walk_.layers(); }
  void see(std::string_view site, const Tensor& value) override {
    const int64_t layer = layer_of(site);
    const Tensor& exact = walk_.block(layer).code.value;
    require(exact.numel() == value.numel(), "[explain] what serves has other inputs than what was explained");
    const std::vector<double> a = numbers_of(value, 0, value.numel()), b = numbers_of(exact, 0, value.numel());
    for (std::size_t i = 0; i < a.size(); ++i) to_.differ += (a[i] > 0) != (b[i] > 0);
    to_.entries += value.numel();
    const Target& target = walk_.targets()[0];
    if (target.is_unit && target.unit.layer == layer)
      to_.value = number_at(value, target.unit.position * value.cols() + target.unit.index);
  }

 private:
  int64_t layer_of(std::string_view site) const {
    return std::find(sites_.begin(), sites_.end(), site) - sites_.begin();
  }
  const Walk& walk_;
  Served& to_;
  std::vector<std::string> sites_;
};

}  // namespace

double Served::distance(double exact) const {
  const double off = std::abs(value - exact);
  return exact == 0 ? off : off / std::abs(exact);
}

Served served_by(const Subject& subject, const Walk& walk) {
  require(subject.batch() == 1 && walk.subject().batch() == 1, "[explain] expected one row, came {}", subject.batch());
  Served out{name_of(subject.device().kind())};
  Gates gates(walk, out);
  InterventionTap tap = subject.tap_for(&gates);
  Run run(subject.device(), {.tap = &tap});
  const Tensor scores = subject.forward(run);
  if (!walk.targets()[0].is_unit) out.value = score_of(walk.targets()[0], scores, 0);
  return out;
}

}  // namespace crate
