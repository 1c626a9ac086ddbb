#include "work/explain/explain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "work/explain/network.h"
#include "work/explain/numbers.h"

namespace crate {
namespace {

/// What a constant gives to the target of `row`, a number a position.
std::span<const double> rows_of(const Constant& c, const Walk& walk, int64_t row) {
  const std::size_t each = c.rows.size() / static_cast<std::size_t>(walk.subject().batch());
  return std::span(c.rows).subspan(static_cast<std::size_t>(row) * each, each);
}

double total(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0); }

/// A sum, and that of the absolute terms.
struct Terms {
  std::size_t count = 0;
  double sum = 0, size = 0;
  void add(double x) {
    count += x != 0 ? 1 : 0;
    sum += x;
    size += std::abs(x);
  }
};

/// Value times gradient of a row, number by number; `of` may be another tensor than the one the gradient belongs to.
Terms given(const Tensor& of, const Tensor& grad, int64_t row, int64_t batch) {
  Terms terms;
  if (!grad) return terms;
  const int64_t each = of.numel() / batch;
  visit_numbers(of.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *x = of.as<T>() + row * each, *g = grad.as<T>() + row * each;
    for (int64_t i = 0; i < each; ++i) terms.add(double{x[i]} * double{g[i]});
  });
  return terms;
}

/// The `sorted_parts` that give most, the most first; equal ones in the order of units. The others stay as they come:
/// there may be millions, and nobody reads them one by one.
void put_most_first(std::vector<Part>& parts) {
  const auto before = [](const Part& a, const Part& b) {
    const double x = std::abs(a.gives), y = std::abs(b.gives);
    return x != y ? x > y : a.unit < b.unit;
  };
  const auto end = parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), sorted_parts));
  if (end != parts.end()) std::nth_element(parts.begin(), end, parts.end(), before);
  std::sort(parts.begin(), end, before);
}

class Explainer {
 public:
  Explainer(const Walk& walk, int64_t row) : walk_(walk), row_(row), batch_(walk.subject().batch()) {
    const Target& target = walk.targets()[static_cast<std::size_t>(row)];
    out_.row = row;
    out_.target = target;
    out_.unit = target.is_unit ? target.unit : Unit{UnitKind::logit, walk.layers(), target.position, target.score};
    out_.value = walk.value(row);
    out_.probability = walk.probability(row);
  }

  Explanation take() {
    read_constants();
    const Seen& entry = walk_.block(0).z_pre;
    if (entry.grad) {
      Terms sources;
      for (const auto* gives : {&out_.tokens, &out_.positions})
        for (const double x : *gives) sources.add(x);
      double biases = 0;
      for (const auto& bias : out_.biases) biases += bias.second;
      add_cut("embed", sources, {}, biases);
    }
    // A unit's cuts end at its block; what has a gradient behind it has it from another row.
    const int64_t blocks = out_.target.is_unit ? out_.unit.layer + 1 : walk_.layers();
    for (int64_t i = 0; i < blocks; ++i) read_block(i);
    if (const Seen& last = walk_.head_in(); last.grad && !out_.target.is_unit)
      add_cut("head.in", {}, given(last.value, last.grad, row_, batch_), biases_behind(walk_, row_, last, false));
    put_most_first(out_.heads);
    put_most_first(out_.atoms);
    return std::move(out_);
  }

 private:
  void read_constants() {
    const auto n = static_cast<std::size_t>(walk_.positions());
    out_.tokens.assign(n, 0);
    out_.positions.assign(n, 0);
    std::map<std::string, double> biases;
    const Seen& patches = walk_.patches();
    for (const Constant& c : walk_.constants()) {
      const auto rows = rows_of(c, walk_, row_);
      if (patches && c.node < patches.nodes) continue;  // inside the patches
      if (c.name == "embed.tokens" || c.name == "embed.cls")
        std::copy(rows.begin(), rows.end(), out_.tokens.begin());
      else if (c.name == "embed.pos")
        std::copy(rows.begin(), rows.end(), out_.positions.begin());
      else
        biases[c.name] += total(rows);
    }
    out_.biases.assign(biases.begin(), biases.end());
    if (!patches.grad) return;
    const int64_t count = patches.value.shape[1], d = patches.value.cols();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = (row_ * count + i) * d;
      out_.tokens[n - static_cast<std::size_t>(count - i)] = dot_numbers(patches.value, at, patches.grad, at, d);
    }
  }

  void read_block(int64_t i) {
    const BlockSeen& b = walk_.block(i);
    if (b.z_mid.grad) {
      const Terms heads = read_heads(i);
      const Terms stream = given(b.z_pre.value, b.z_mid.grad, row_, batch_);
      add_cut(fmt::format("blocks.{}.heads", i), heads, stream, biases_behind(walk_, row_, b.heads, false));
    }
    if (!b.code.grad) return;
    const Terms atoms = read_atoms(i);
    const bool residual = Network(walk_.subject()).block(i).residual;
    const Terms stream = residual ? given(b.z_mid.value, b.z_post.grad, row_, batch_) : Terms{};
    add_cut(fmt::format("blocks.{}.atoms", i), atoms, stream, biases_behind(walk_, row_, b.code, true));
  }

  Terms read_heads(int64_t layer) {
    const Seen& heads = walk_.block(layer).heads;
    const int64_t k = walk_.subject().config().heads, p = heads.value.cols() / k, n = heads.value.shape[1];
    Terms sum;
    for (int64_t i = 0; i < n * k; ++i) {
      const int64_t begin = (row_ * n * k + i) * p;
      const double gives = dot_numbers(heads.value, begin, heads.grad, begin, p);
      sum.add(gives);
      if (gives != 0) out_.heads.push_back({{UnitKind::head, layer, i / k, i % k}, gives, gives});
    }
    return sum;
  }

  Terms read_atoms(int64_t layer) {
    const Seen& code = walk_.block(layer).code;
    const int64_t m = code.value.cols(), n = code.value.shape[1];
    Terms sum;
    visit_numbers(code.value.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T *z = code.value.as<T>() + row_ * n * m, *g = code.grad.as<T>() + row_ * n * m;
      for (int64_t i = 0; i < n * m; ++i) {
        const double gives = double{z[i]} * double{g[i]};
        sum.add(gives);
        if (gives != 0) out_.atoms.push_back({{UnitKind::atom, layer, i / m, i % m}, z[i], gives});
      }
    });
    return sum;
  }

  void add_cut(const std::string& at, const Terms& units, const Terms& stream, double biases) {
    Cut cut{at, units.count, units.sum, stream.sum, biases, units.size + stream.size + std::abs(biases), 0};
    const double off = std::abs(cut.sum() - out_.value);
    cut.residual = out_.value == 0 ? off : off / std::abs(out_.value);
    out_.cuts.push_back(cut);
  }

  const Walk& walk_;
  int64_t row_, batch_;
  Explanation out_;
};

}  // namespace

double Explanation::residual() const {
  double worst = 0;
  for (const Cut& cut : cuts) worst = std::max(worst, cut.residual);
  return worst;
}

double Explanation::off() const {
  double worst = 0;
  for (const Cut& cut : cuts) worst = std::max(worst, cut.off(value));
  return worst;
}

Explanation explain(const Walk& walk, int64_t row) { return Explainer(walk, row).take(); }

double biases_behind(const Walk& walk, int64_t row, const Seen& place, bool inside_operator) {
  double sum = 0;
  for (const Constant& c : walk.constants()) {
    const bool behind =
        inside_operator ? c.node > place.nodes || (c.node == place.nodes && !c.inside) : c.node >= place.nodes;
    if (behind) sum += total(rows_of(c, walk, row));
  }
  return sum;
}

std::vector<double> sources_of(const Walk& walk, int64_t row, const Unit& head) {
  const Network network(walk.subject());
  const BlockSeen& b = walk.block(head.layer);
  const int64_t n = b.heads.value.shape[1], k = walk.subject().config().heads;
  const int64_t width = b.coords.value.cols(), p = b.heads.value.cols() / k;
  std::vector<double> out(static_cast<std::size_t>(n));
  if (!b.heads.grad) return out;
  const std::vector<double> d_y = network.value_gradient(b, row, head);
  for (int64_t j = 0; j < n; ++j) {
    const double weight = number_at(b.pattern.value, ((row * k + head.index) * n + head.position) * n + j);
    const auto v = numbers_of(b.coords.value, (row * n + j) * width + network.value_column(head.index), p);
    out[static_cast<std::size_t>(j)] = weight * std::inner_product(v.begin(), v.end(), d_y.begin(), 0.0);
  }
  return out;
}

}  // namespace crate
