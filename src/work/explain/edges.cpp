#include "work/explain/edges.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <tuple>

#include "base/parallel.h"
#include "tensor/gemm.h"
#include "work/explain/network.h"
#include "work/explain/numbers.h"

namespace crate {
namespace {

/// A matrix of the device's numbers that leaves with its owner.
class Matrix {
 public:
  Matrix(Device& device, int64_t rows, int64_t cols)
      : block_(device.pool(), static_cast<std::size_t>(std::max<int64_t>(1, rows * cols)) * size_of(device.real())),
        tensor_{block_.as<void>(), {rows, cols}, device.real(), -1} {}
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  Scratch block_;
  Tensor tensor_;
};

/// Catches the code of a second half, to be seeded.
class CodeTap final : public Tap {
 public:
  bool wants(std::string_view site) override { return site.ends_with(".ista.code") || site.ends_with(".mlp.hidden"); }
  void see(std::string_view, const Tensor& value) override { code = value; }
  Tensor code;
};

void set_number(const Tensor& t, int64_t i, double value) {
  visit_numbers(t.dtype, [&](auto zero) { t.as<decltype(zero)>()[i] = static_cast<decltype(zero)>(value); });
}

/// One use of a direction: unit `to` reads the stream at `position` by `factor` times row `row` of the directions.
struct Reading {
  std::size_t to;
  int64_t row, position;
  double factor;
};

/// Directions in the stream, and who reads by them where.
struct Readers {
  Matrix directions;
  std::vector<Reading> readings;  // those of one unit stand together
};

struct Active {
  int64_t index;
  double value;
};

class EdgeFinder {
 public:
  EdgeFinder(const Walk& walk, const Explanation& explanation, std::vector<Unit> units);
  Edges take();

 private:
  enum class Stage : uint8_t { mid, post };
  void index_units();
  void into_atoms(int64_t layer);
  void into_heads(int64_t layer);
  void into_target();
  std::vector<double> inverse_deviations(const BlockSeen& seen) const;
  double through_norm(const BlockWeights& w, const Tensor& wide, const Tensor& directions, int64_t r) const;
  Readers head_readers(int64_t layer, const std::vector<std::size_t>& heads);
  void descend(const Readers& readers, int64_t layer, Stage stage);
  void meet_atoms(const Readers& readers, int64_t layer);
  void meet_heads(const Readers& readers, int64_t layer);
  void meet_sources(const Readers& readers);
  void meet_bias(const Readers& readers, const Tensor& directions, const Tensor& bias);
  template <class F> void for_readings(const Readers& readers, F&& f);
  void meet(std::size_t to, int32_t from, double effect);
  std::vector<std::size_t> listed(UnitKind kind, int64_t layer) const;
  int32_t& place_of(const Unit& unit);
  Matrix scaled(const Tensor& directions, const Tensor& gamma) const;

  const Walk& walk_;
  const Explanation& explanation_;
  const Subject& subject_;
  Network network_;
  Device& device_;
  int64_t row_, n_, d_, k_, p_, m_;
  Edges out_;
  std::vector<std::vector<Edge>> found_;                  // one a unit: the edges into it
  std::vector<int32_t> places_;                           // of every unit there is: its place in the list, or -1
  std::vector<std::vector<std::vector<Active>>> active_;  // a layer, a position
};

EdgeFinder::EdgeFinder(const Walk& walk, const Explanation& explanation, std::vector<Unit> units)
    : walk_(walk),
      explanation_(explanation),
      subject_(walk.subject()),
      network_(subject_),
      device_(subject_.device()),
      row_(explanation.row),
      n_(walk.positions()),
      d_(subject_.config().dim),
      k_(subject_.config().heads),
      p_(subject_.config().head_dim()),
      m_(walk.block(0).code.value.cols()) {
  std::sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
    const auto key = [](const Unit& u) { return std::tuple(u.layer, u.kind, u.position, u.index); };
    return key(a) < key(b);
  });
  units.erase(std::unique(units.begin(), units.end()), units.end());
  units.push_back(explanation.unit);
  out_.units = std::move(units);
  out_.gives.resize(out_.units.size());
  out_.inflows.resize(out_.units.size());
  found_.resize(out_.units.size());
  index_units();
}

// Every position has, in this order: its token, its position, and for every layer its heads and its atoms.
int32_t& EdgeFinder::place_of(const Unit& u) {
  const int64_t each = 2 + walk_.layers() * (k_ + m_);
  int64_t at = u.position * each;
  if (u.kind == UnitKind::position) at += 1;
  if (u.kind == UnitKind::head) at += 2 + u.layer * (k_ + m_) + u.index;
  if (u.kind == UnitKind::atom) at += 2 + u.layer * (k_ + m_) + k_ + u.index;
  return places_[static_cast<std::size_t>(at)];
}

void EdgeFinder::index_units() {
  places_.assign(static_cast<std::size_t>(n_ * (2 + walk_.layers() * (k_ + m_))), -1);
  for (std::size_t i = 0; i + 1 < out_.units.size(); ++i) {
    const Unit& u = out_.units[i];
    const bool inside = u.kind == UnitKind::head || u.kind == UnitKind::atom;
    require(
        u.position < n_ && (!inside || (u.layer < walk_.layers() && u.index < (u.kind == UnitKind::head ? k_ : m_))),
        "[explain] {} lies outside the model", name_of(u, subject_.config().family));
    place_of(u) = static_cast<int32_t>(i);
    if (u.kind == UnitKind::token) out_.gives[i] = explanation_.tokens[static_cast<std::size_t>(u.position)];
    if (u.kind == UnitKind::position) out_.gives[i] = explanation_.positions[static_cast<std::size_t>(u.position)];
    out_.inflows[i].value = out_.gives[i];
  }
  for (const auto* parts : {&explanation_.heads, &explanation_.atoms}) {
    for (const Part& part : *parts) {
      const int32_t place = place_of(part.unit);
      if (place < 0) continue;
      out_.gives[static_cast<std::size_t>(place)] = part.gives;
      out_.inflows[static_cast<std::size_t>(place)].value = part.value;
    }
  }
  out_.gives.back() = out_.inflows.back().value = explanation_.value;
  for (int64_t layer = 0; layer < walk_.layers(); ++layer) {
    const Tensor& code = walk_.block(layer).code.value;
    auto& positions = active_.emplace_back(static_cast<std::size_t>(n_));
    for (int64_t i = 0; i < n_; ++i) {
      const std::vector<double> z = numbers_of(code, (row_ * n_ + i) * m_, m_);
      for (int64_t j = 0; j < m_; ++j) {
        const double value = z[static_cast<std::size_t>(j)];
        if (value != 0) positions[static_cast<std::size_t>(i)].push_back({j, value});
      }
    }
  }
}

std::vector<std::size_t> EdgeFinder::listed(UnitKind kind, int64_t layer) const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i + 1 < out_.units.size(); ++i) {
    if (out_.units[i].kind == kind && out_.units[i].layer == layer) out.push_back(i);
  }
  return out;
}

Edges EdgeFinder::take() {
  into_target();
  for (int64_t layer = walk_.layers(); layer-- > 0;) {
    into_atoms(layer);
    into_heads(layer);
  }
  for (auto& edges : found_) out_.edges.insert(out_.edges.end(), edges.begin(), edges.end());
  return std::move(out_);
}

/// Walks the atoms' codes back to the rows of the stream that they read, with the model's own second half.
void EdgeFinder::into_atoms(int64_t layer) {
  std::vector<std::size_t> atoms = listed(UnitKind::atom, layer);
  if (explanation_.target.is_unit && explanation_.unit.layer == layer) atoms.push_back(out_.units.size() - 1);
  if (atoms.empty()) return;
  const auto count = static_cast<int64_t>(atoms.size());
  CodeTap tap;
  Run run(device_, {.record = true, .frozen = true, .tap = &tap});
  const Tensor rows = run.make({1, count, d_});
  const Tensor& z_mid = walk_.block(layer).z_mid.value;
  const auto bytes = static_cast<std::size_t>(d_) * size_of(z_mid.dtype);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t position = out_.units[atoms[static_cast<std::size_t>(r)]].position;
    std::memcpy(rows.row_slice(r, r + 1).data, z_mid.row_slice(row_ * n_ + position, row_ * n_ + position + 1).data,
                bytes);
  }
  subject_.blocks().second_half(run, layer, rows);
  const Tensor d_code = run.seed_grad(tap.code).to;
  std::memset(d_code.data, 0, d_code.bytes());
  for (int64_t r = 0; r < count; ++r)
    set_number(d_code, r * m_ + out_.units[atoms[static_cast<std::size_t>(r)]].index, 1);
  run.keep_grad(rows);
  run.walk();
  Readers readers{Matrix(device_, count, d_), {}};
  const Tensor d_rows = run.grad_of(rows);
  std::memcpy(readers.directions->data, d_rows.data, d_rows.bytes());
  const LayerChange change(subject_, layer, n_, m_);
  for (int64_t r = 0; r < count; ++r) {
    const std::size_t to = atoms[static_cast<std::size_t>(r)];
    const Unit& u = out_.units[to];
    const double slope = change.slope(u);
    if (slope != 0) readers.readings.push_back({to, r, u.position, slope});
    for (const Constant& c : run.constants()) out_.inflows[to].biases += slope * c.rows[static_cast<std::size_t>(r)];
    out_.inflows[to].biases += change.constant(u);
  }
  descend(readers, layer, Stage::mid);
}

void EdgeFinder::into_heads(int64_t layer) {
  const std::vector<std::size_t> heads = listed(UnitKind::head, layer);
  if (heads.empty() || !walk_.block(layer).heads.grad) return;
  descend(head_readers(layer, heads), layer - 1, Stage::post);
}

/// 1 / s_j of norm1 at every position.
std::vector<double> EdgeFinder::inverse_deviations(const BlockSeen& seen) const {
  std::vector<double> inverse(static_cast<std::size_t>(n_));
  for (int64_t j = 0; j < n_; ++j) {
    const auto z = numbers_of(seen.z_pre.value, (row_ * n_ + j) * d_, d_);
    const double mean = std::accumulate(z.begin(), z.end(), 0.0) / static_cast<double>(d_);
    double variance = 0;
    for (const double x : z) variance += (x - mean) * (x - mean) / static_cast<double>(d_);
    inverse[static_cast<std::size_t>(j)] = 1 / std::sqrt(variance + subject_.config().norm_eps);
  }
  return inverse;
}

/// Through norm1: the direction becomes scale o c less its mean; returned is what reading by it gets of biases.
double EdgeFinder::through_norm(const BlockWeights& w, const Tensor& wide, const Tensor& directions, int64_t r) const {
  const double biases =
      dot_numbers(directions, r * d_, w.norm1_shift, 0, d_) + dot_numbers(wide, r * k_ * p_, w.u_bias, 0, k_ * p_);
  auto c = numbers_of(directions, r * d_, d_);
  for (int64_t j = 0; j < d_; ++j) c[static_cast<std::size_t>(j)] *= number_at(w.norm1_scale, j);
  const double mean = std::accumulate(c.begin(), c.end(), 0.0) / static_cast<double>(d_);
  for (int64_t j = 0; j < d_; ++j) set_number(directions, r * d_ + j, c[static_cast<std::size_t>(j)] - mean);
  return biases;
}

// Direction of a head: c = (Pi d_o) U through norm1; position j reads it by P_ij / s_j. With a trace, position j - 1
// reads besides c = (share o Pi d_o) U by P_ij / s_(j-1): rows `count` and beyond.
Readers EdgeFinder::head_readers(int64_t layer, const std::vector<std::size_t>& heads) {
  const BlockSeen& seen = walk_.block(layer);
  const BlockWeights& w = network_.block(layer);
  const std::vector<double> inverse = inverse_deviations(seen);
  const auto count = static_cast<int64_t>(heads.size()), rows = w.share ? 2 * count : count;
  const Matrix wide(device_, rows, k_ * p_);  // a head's gradient in the columns of its values, 0 elsewhere
  std::memset(wide->data, 0, wide->bytes());
  for (int64_t r = 0; r < count; ++r) {
    const Unit& u = out_.units[heads[static_cast<std::size_t>(r)]];
    const auto g = network_.value_gradient(seen, row_, u);
    for (int64_t c = 0; c < p_; ++c) {
      const int64_t column = network_.value_row(u.index) + c;
      const double x = g[static_cast<std::size_t>(c)];
      set_number(*wide, r * k_ * p_ + column, x);
      if (w.share) set_number(*wide, (count + r) * k_ * p_ + column, number_at(w.share, column) * x);
    }
  }
  Readers readers{Matrix(device_, rows, d_), {}};
  gemm(device_, {.a = *wide, .b = w.u, .c = *readers.directions});
  std::vector<double> biases;
  for (int64_t r = 0; r < rows; ++r) biases.push_back(through_norm(w, *wide, *readers.directions, r));
  for (int64_t r = 0; r < count; ++r) {
    const std::size_t place = heads[static_cast<std::size_t>(r)];
    const Unit& u = out_.units[place];
    for (int64_t j = 0; j < n_; ++j) {
      const double weight = number_at(seen.pattern.value, ((row_ * k_ + u.index) * n_ + u.position) * n_ + j);
      if (weight == 0) continue;
      const auto read = [&](int64_t row, int64_t position) {
        readers.readings.push_back({place, row, position, weight * inverse[static_cast<std::size_t>(position)]});
        out_.inflows[place].biases += weight * biases[static_cast<std::size_t>(row)];
      };
      read(r, j);
      if (w.share && j > 0) read(count + r, j - 1);
    }
  }
  return readers;
}

void EdgeFinder::into_target() {
  if (explanation_.target.is_unit) return;
  const Seen& last = walk_.block(walk_.layers() - 1).z_post;
  Readers readers{Matrix(device_, n_, d_), {}};
  const auto bytes = readers.directions->bytes();
  std::memcpy(readers.directions->data, last.grad.row_slice(row_ * n_, (row_ + 1) * n_).data, bytes);
  const std::size_t to = out_.units.size() - 1;
  for (int64_t j = 0; j < n_; ++j) {
    const auto g = numbers_of(*readers.directions, j * d_, d_);
    if (std::any_of(g.begin(), g.end(), [](double x) { return x != 0; })) readers.readings.push_back({to, j, j, 1});
  }
  out_.inflows[to].biases += biases_behind(walk_, row_, last, false);
  descend(readers, walk_.layers() - 1, Stage::post);
}

void EdgeFinder::descend(const Readers& readers, int64_t layer, Stage stage) {
  for (; layer >= 0; --layer, stage = Stage::post) {
    if (stage == Stage::post) {
      meet_atoms(readers, layer);
      if (!network_.block(layer).residual) return;
    }
    meet_heads(readers, layer);
  }
  meet_sources(readers);
}

Matrix EdgeFinder::scaled(const Tensor& directions, const Tensor& gamma) const {
  Matrix out(device_, directions.rows(), d_);
  visit_numbers(directions.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *from = directions.as<T>(), *by = gamma ? gamma.as<T>() : nullptr;
    for (int64_t i = 0; i < directions.numel(); ++i) out->as<T>()[i] = by ? from[i] * by[i % d_] : from[i];
  });
  return out;
}

/// f(reading) for all, the readings of one unit on one thread.
template <class F> void EdgeFinder::for_readings(const Readers& readers, F&& f) {
  const auto& all = readers.readings;
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == 0 || all[i].to != all[i - 1].to) begins.push_back(i);
  }
  begins.push_back(all.size());
  parallel_chunks(static_cast<int64_t>(begins.size()) - 1, 1, [&](int64_t chunk, int64_t, int64_t) {
    const auto at = static_cast<std::size_t>(chunk);
    for (std::size_t i = begins[at]; i < begins[at + 1]; ++i) f(all[i]);
  });
}

void EdgeFinder::meet(std::size_t to, int32_t from, double effect) {
  Inflow& in = out_.inflows[to];
  in.size += std::abs(effect);
  if (from < 0) {
    in.rest += effect;
    return;
  }
  in.shown += effect;
  if (effect != 0) found_[to].push_back({from, static_cast<int32_t>(to), effect});
}

void EdgeFinder::meet_bias(const Readers& readers, const Tensor& directions, const Tensor& bias) {
  if (!bias) return;
  for_readings(readers, [&](const Reading& r) {
    out_.inflows[r.to].biases += r.factor * dot_numbers(directions, r.row * d_, bias, 0, d_);
  });
}

void EdgeFinder::meet_atoms(const Readers& readers, int64_t layer) {
  const BlockWeights& w = network_.block(layer);
  const Matrix directions = scaled(*readers.directions, w.gamma2);
  const Matrix effects(device_, directions->rows(), m_);  // of an atom of value 1
  if (w.v)
    gemm(device_, {.a = *directions, .b = w.v, .c = *effects, .trans_b = !w.v_by_columns, .b_is_weight = true});
  else
    std::memcpy(effects->data, directions->data, directions->bytes());
  meet_bias(readers, *directions, w.v_bias);
  visit_numbers(effects->dtype, [&](auto zero) {
    const auto* effect = effects->template as<decltype(zero)>();
    for_readings(readers, [&](const Reading& r) {
      const int32_t* places = &place_of({UnitKind::atom, layer, r.position, 0});
      for (const Active& a : active_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(r.position)])
        meet(r.to, places[a.index], r.factor * a.value * double{effect[r.row * m_ + a.index]});
    });
  });
}

void EdgeFinder::meet_heads(const Readers& readers, int64_t layer) {
  const BlockWeights& w = network_.block(layer);
  const Matrix directions = scaled(*readers.directions, w.gamma1);
  const Matrix effects(device_, directions->rows(), k_ * p_);
  if (w.w)
    gemm(device_, {.a = *directions, .b = w.w, .c = *effects, .b_is_weight = true});
  else
    std::memcpy(effects->data, directions->data, directions->bytes());
  meet_bias(readers, *directions, w.w_bias);
  const Tensor& heads = walk_.block(layer).heads.value;
  for_readings(readers, [&](const Reading& r) {
    for (int64_t h = 0; h < k_; ++h) {
      const double effect =
          dot_numbers(*effects, (r.row * k_ + h) * p_, heads, ((row_ * n_ + r.position) * k_ + h) * p_, p_);
      meet(r.to, place_of({UnitKind::head, layer, r.position, h}), r.factor * effect);
    }
  });
}

void EdgeFinder::meet_sources(const Readers& readers) {
  const std::vector<Source> sources = subject_.sources(row_, walk_.patches().value);
  std::vector<std::vector<const Source*>> at(static_cast<std::size_t>(n_));
  for (const Source& source : sources) at[static_cast<std::size_t>(source.position)].push_back(&source);
  for_readings(readers, [&](const Reading& r) {
    for (const Source* source : at[static_cast<std::size_t>(r.position)]) {
      const double effect = dot_numbers(*readers.directions, r.row * d_, source->embedding, 0, d_);
      meet(r.to, place_of({source->kind, -1, r.position, 0}), r.factor * effect);
    }
  });
}

}  // namespace

double Edges::residual() const {
  constexpr double noise = 1e-3;  // a unit into which next to nothing flows is not judged by its own size
  double worst = 0, largest = 0;
  const auto size_of = [](const Inflow& in) { return in.size + std::abs(in.biases); };
  for (const Inflow& in : inflows) largest = std::max(largest, size_of(in));
  for (const Inflow& in : inflows) {
    if (in.size > 0) worst = std::max(worst, std::abs(in.value - in.sum()) / std::max(size_of(in), noise * largest));
  }
  return worst;
}

Edges edges_among(const Walk& walk, const Explanation& explanation, std::vector<Unit> units) {
  return EdgeFinder(walk, explanation, std::move(units)).take();
}

}  // namespace crate
