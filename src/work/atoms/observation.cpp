#include "work/atoms/observation.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"

namespace crate {
namespace {

constexpr int64_t calibration_tokens = 4096;

std::string site_name(const ModelConfig& config, int64_t layer) {
  return fmt::format("blocks.{}.{}", layer, is_white_box(config.family) ? "ista.code" : "mlp.hidden");
}

// The rows of a tensor as floats; `buffer` holds them when they were doubles.
const float* floats(const Tensor& t, std::vector<float>& buffer) {
  if (t.dtype == Dtype::f32) return t.as<float>();
  buffer.assign(t.as<double>(), t.as<double>() + t.numel());
  return buffer.data();
}

// The codes of a layer, or what the options make of them.
const float* looked_at(const Tensor& t, std::size_t layer, const ObserveOptions& options, std::vector<float>& buffer) {
  const float* code = floats(t, buffer);
  if (!options.look) return code;
  std::vector<float> out(static_cast<std::size_t>(t.numel()));
  options.look(static_cast<int64_t>(layer), code, t.rows(), out.data());
  buffer = std::move(out);
  return buffer.data();
}

// Thresholds of one site: 0, then quantiles of what is above 0.
class Calibration final : public Tap {
 public:
  Calibration(std::vector<std::string> sites, int levels, const ObserveOptions& options)
      : sites_(std::move(sites)), levels_(levels), options_(options) {
    found.resize(sites_.size());
  }
  bool wants(std::string_view site) override { return std::find(sites_.begin(), sites_.end(), site) != sites_.end(); }
  void see(std::string_view site, const Tensor& value) override {
    const auto which = static_cast<std::size_t>(std::find(sites_.begin(), sites_.end(), site) - sites_.begin());
    std::vector<float> buffer;
    const float* code = looked_at(value, which, options_, buffer);
    const int64_t rows = value.rows(), m = value.cols();
    std::vector<float>& to = found[which];
    to.assign(static_cast<std::size_t>(levels_ * m), 0.0F);
    parallel_for(m, 16, [&](int64_t lo, int64_t hi) {
      std::vector<float> positive;
      for (int64_t atom = lo; atom < hi; ++atom) {
        positive.clear();
        for (int64_t row = 0; row < rows; ++row)
          if (code[row * m + atom] > 0) positive.push_back(code[row * m + atom]);
        if (positive.size() < 8) continue;
        std::sort(positive.begin(), positive.end());
        constexpr double quantiles[] = {0, 0.5, 0.85, 0.97};
        for (int level = 1; level < levels_; ++level)
          to[static_cast<std::size_t>(level * m + atom)] =
              positive[static_cast<std::size_t>(quantiles[level] * static_cast<double>(positive.size()))];
      }
    });
  }
  std::vector<std::vector<float>> found;

 private:
  std::vector<std::string> sites_;
  int levels_;
  const ObserveOptions& options_;
};

}  // namespace

// Hands the codes of every layer to its statistics, and sums the scales of the final norm.
class Observation::Listener final : public Tap {
 public:
  Listener(Observation& to, const BatchInfo& info)
      : to_(to), info_(info), sites_(to.sites()), last_(fmt::format("blocks.{}.z_post", sites_.size() - 1)) {}
  bool wants(std::string_view site) override {
    return (site == last_ && to_.model_.config().final_norm()) || number(site) < sites_.size();
  }
  void see(std::string_view site, const Tensor& value) override {
    std::vector<float> buffer;
    if (site == last_) return add_scales(floats(value, buffer), value.rows(), value.cols());
    to_.sites_[number(site)]->take(looked_at(value, number(site), to_.options_, buffer), info_);
  }

 private:
  std::size_t number(std::string_view site) const {
    return static_cast<std::size_t>(std::find(sites_.begin(), sites_.end(), site) - sites_.begin());
  }
  void add_scales(const float* z, int64_t rows, int64_t d) {
    for (int64_t row = 0; row < rows; ++row, z += d) {
      double mean = 0, square = 0;
      for (int64_t j = 0; j < d; ++j) mean += z[j], square += static_cast<double>(z[j]) * z[j];
      mean /= static_cast<double>(d);
      const double variance = std::max(0.0, square / static_cast<double>(d) - mean * mean);
      to_.inverse_scale_ += 1 / std::sqrt(variance + to_.model_.config().last_norm_eps());
    }
    to_.tokens_ += static_cast<double>(rows);
  }

  Observation& to_;
  const BatchInfo& info_;
  std::vector<std::string> sites_;
  std::string last_;
};

std::vector<std::string> Observation::sites() const {
  std::vector<std::string> out;
  for (int64_t i = 0; i < model_.config().layers; ++i) out.push_back(site_name(model_.config(), i));
  return out;
}

void Observation::prepare(std::unique_ptr<Ngrams> ngrams) {
  ngrams_ = std::move(ngrams);
  ngram_counts_.assign(static_cast<std::size_t>(ngrams_->rows()), 0);
  for (auto& half : feature_counts_) half.assign(static_cast<std::size_t>(features()), 0);
  choose_sample();
  make_sites();
}

// Evenly over the windows, at a random place of each, within one document.
void Observation::choose_sample() {
  const int64_t n = std::min(options_.sample_excerpts, windows());
  sample_of_.assign(static_cast<std::size_t>(windows()), -1);
  const Rng rng(options_.seed, Stream::sample);
  int64_t row = 0;
  for (int64_t k = 0; k < n; ++k) {
    const int64_t w = k * windows() / n;
    const WindowInfo in = window(w);
    const auto places = static_cast<uint64_t>(std::max<int64_t>(1, in.length - excerpt_tokens + 1));
    const auto at = static_cast<int64_t>(rng.below(places, 77, static_cast<uint64_t>(k)));
    const int64_t middle = std::min(at + excerpt_tokens / 2, in.length - 1);
    const auto s = std::find_if(in.sections.begin(), in.sections.end(),
                                [middle](const SectionInfo& section) { return middle < section.last; });
    const int64_t lo = std::max(at, s->first), hi = std::min(lo + excerpt_tokens, s->last);
    sample_of_[static_cast<std::size_t>(w)] = static_cast<int32_t>(sample_.size());
    sample_.push_back({in.begin + lo, hi - lo, row, s->document});
    row += hi - lo;
  }
}

// Of the memory half goes to n-grams, a quarter to features.
int64_t Observation::ngram_rows() const {
  return std::clamp<int64_t>((options_.memory_mb << 20) / 2 / (atoms() * 4), std::min<int64_t>(outputs(), 1024), 65536);
}

void Observation::make_sites() {
  SiteStatistics::Sizes sizes{.atoms = model_.config().n_atoms(), .ngrams = ngrams_->rows(), .features = features()};
  sizes.sample = sample_.empty() ? 0 : sample_.back().row + sample_.back().length;
  const int64_t each = atoms() * 8 * (features() + 1);
  sizes.levels = static_cast<int>(std::clamp<int64_t>((options_.memory_mb << 20) / 4 / each, 1, 4));
  for (auto& t : thresholds(sizes.levels)) sites_.push_back(std::make_unique<SiteStatistics>(sizes, std::move(t)));
}

std::vector<std::vector<float>> Observation::thresholds(int levels) {
  const int64_t whole = std::max<int64_t>(1, size() / window_tokens());
  const int64_t n = std::clamp<int64_t>(calibration_tokens / window_tokens(), 1, whole);
  std::vector<int64_t> some;
  for (int64_t k = 0; k < n; ++k) some.push_back(k * whole / n);
  Calibration tap(sites(), levels, options_);
  forward(some, tap);
  return std::move(tap.found);
}

void Observation::add_window(const WindowInfo& one, int64_t number, BatchInfo& to) {
  const auto base = static_cast<int64_t>(to.tokens.size());
  const int32_t k = sample_of_[static_cast<std::size_t>(number)];
  for (int64_t i = 0; i < one.length; ++i) {
    const Ngrams::At& at = one.ngrams[static_cast<std::size_t>(i)];
    TokenInfo token{.rows = {at.one, at.two, at.three}};
    token.hash = Rng(options_.seed, Stream::sample).block(78, static_cast<uint64_t>(one.begin + i))[0];
    if (k >= 0) {
      const SampleExcerpt& e = sample_[static_cast<std::size_t>(k)];
      const int64_t in = one.begin + i - e.begin;
      if (in >= 0 && in < e.length) token.sample = static_cast<int32_t>(e.row + in);
    }
    to.tokens.push_back(token);
    for (const int32_t f : one.features.of(i)) to.features.ids.push_back(f);
    to.features.begin.push_back(static_cast<int32_t>(to.features.ids.size()));
  }
  for (SectionInfo s : one.sections) {
    for (int64_t i = s.first; i < s.last; ++i) {
      for (const int32_t f : one.features.of(i)) ++feature_counts_[s.held_out ? 1 : 0][static_cast<std::size_t>(f)];
      const Ngrams::At& at = one.ngrams[static_cast<std::size_t>(i)];
      for (const int32_t row : {at.one, at.two, at.three})
        if (row >= 0 && !s.held_out) ++ngram_counts_[static_cast<std::size_t>(row)];
    }
    half_tokens_[s.held_out ? 1 : 0] += static_cast<double>(s.last - s.first);
    s.first += base;
    s.last += base;
    to.sections.push_back(s);
  }
}

void Observation::read_batch(int64_t first, int64_t last) {
  BatchInfo info;
  std::vector<int64_t> numbers;
  for (int64_t w = first; w < last; ++w) {
    add_window(window(w), w, info);
    numbers.push_back(w);
  }
  Listener tap(*this, info);
  forward(numbers, tap);
}

void Observation::read() {
  const auto start = std::chrono::steady_clock::now();
  const int64_t whole = size() / window_tokens();
  for (int64_t w = 0; w < windows();) {
    const int64_t end = w < whole ? std::min(whole, w + options_.batch) : windows();
    read_batch(w, end);
    w = end;
    if (options_.progress) options_.progress(std::min(size(), w * window_tokens()), size());
  }
  for (auto& site : sites_) site->sort_excerpts();
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace crate
