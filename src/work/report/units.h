// units: what the layers of a model say of each token, as directions of a layer's code h (site blocks.i.ista.code, or
// mlp.hidden in twins). The value of a direction q is max(0, q . h):
//   axes      q = e_j: the unit itself
//   rotated   the rows of a random orthogonal matrix: the same layer, the same space, no privileged axes. A score that
//             rotated units reach as well is owed to the layer, not to its units.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "run/tap.h"

namespace crate {

std::string unit_site(const ModelConfig& config, int64_t layer);
/// How many units a layer has.
int64_t unit_count(const ModelConfig& config);

class Directions {
 public:
  /// `count` different units of `width`, drawn by an addressed seed; all of them, in order, when count >= width.
  static Directions axes(int64_t width, int64_t count, uint64_t seed);
  /// `count` orthonormal directions, uniform over such frames (Gram-Schmidt on normal draws).
  static Directions rotated(int64_t width, int64_t count, uint64_t seed);

  int64_t count() const { return count_; }
  int64_t width() const { return width_; }
  /// The unit of direction i; -1 when rotated.
  int32_t unit(int64_t i) const { return axes_.empty() ? -1 : axes_[static_cast<std::size_t>(i)]; }
  /// values (rows, count) of the codes h (rows, width).
  void read(const float* code, int64_t rows, float* values) const { read(code, rows, values, count_); }
  /// The same into rows of `stride` numbers, 0 behind the values.
  void read(const float* code, int64_t rows, float* values, int64_t stride) const;
  /// Direction i as a vector.
  std::vector<float> vector(int64_t i) const;

 private:
  int64_t width_ = 0, count_ = 0;
  std::vector<int32_t> axes_;
  std::vector<float> rows_;  // (count, width), when rotated
};

/// Hands the codes of every layer to `take` as (b, n, width) while a model runs.
class UnitTap final : public Tap {
 public:
  UnitTap(const ModelConfig& config, std::function<void(int64_t layer, const Tensor&)> take);
  bool wants(std::string_view site) override { return layer_of(site) >= 0; }
  void see(std::string_view site, const Tensor& value) override { take_(layer_of(site), value); }

 private:
  int64_t layer_of(std::string_view site) const;
  std::vector<std::string> sites_;
  std::function<void(int64_t, const Tensor&)> take_;
};

/// Changes one direction of one layer at every token: h <- h - max(0, q . h) q when it removes, h <- h + add q.
class DirectionTap final : public Tap {
 public:
  DirectionTap(std::string site, std::vector<float> direction, bool remove, double add)
      : site_(std::move(site)), direction_(std::move(direction)), remove_(remove), add_(add) {}
  bool wants(std::string_view) override { return false; }
  void see(std::string_view, const Tensor&) override {}
  bool edits(std::string_view site) override { return site == site_; }
  void edit(std::string_view site, const Tensor& value) override;

 private:
  std::string site_;
  std::vector<float> direction_;
  bool remove_;
  double add_;
};

/// The dictionary seen along a direction, sum_j q_j d_j: d numbers, what it writes into the stream. (A square
/// dictionary writes the code itself; its columns are what the code is found with.)
std::vector<double> written_by(LanguageModel& model, int64_t layer, const std::vector<float>& direction);

}  // namespace crate
