#include "work/eval/sparsity.h"

#include <charconv>
#include <numeric>

#include "base/parallel.h"

namespace crate {
namespace {

template <class T> int64_t count_nonzero(const Tensor& t) {
  const T* x = t.as<T>();
  constexpr int64_t chunk = 1 << 16;
  std::vector<int64_t> counts(static_cast<std::size_t>((t.numel() + chunk - 1) / chunk));
  parallel_chunks(t.numel(), chunk, [&](int64_t c, int64_t lo, int64_t hi) {
    int64_t n = 0;
    for (int64_t i = lo; i < hi; ++i) n += x[i] != T{0} ? 1 : 0;
    counts[static_cast<std::size_t>(c)] = n;
  });
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

}  // namespace

bool SparsityTap::wants(std::string_view site) { return site.ends_with(".ista.code") || site.ends_with(".mlp.hidden"); }

void SparsityTap::see(std::string_view site, const Tensor& value) {
  std::size_t layer = 0;
  const std::string_view number = site.substr(std::string_view("blocks.").size());
  std::from_chars(number.data(), number.data() + number.size(), layer);
  if (layer >= total_.size()) return;
  nonzero_[layer] +=
      static_cast<double>(value.dtype == Dtype::f32 ? count_nonzero<float>(value) : count_nonzero<double>(value));
  total_[layer] += static_cast<double>(value.numel());
}

std::vector<double> SparsityTap::fractions() const {
  std::vector<double> out;
  for (std::size_t i = 0; i < total_.size(); ++i) {
    if (total_[i] > 0) out.push_back(nonzero_[i] / total_[i]);
  }
  return out;
}

double SparsityTap::mean() const {
  const auto f = fractions();
  return f.empty() ? 0 : std::accumulate(f.begin(), f.end(), 0.0) / static_cast<double>(f.size());
}

}  // namespace crate
