#include "work/report/reading.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

class Reader {
 public:
  Reader(LanguageModel& model, const std::vector<Window>& windows, const std::vector<View>& views,
         const std::vector<Place>& places, const ReadingOptions& options)
      : model_(model), windows_(windows), views_(views), places_(places), options_(options) {
    const auto layers = z(model.config().layers);
    for (const View& view : views) {
      ViewReading r;
      r.on.resize(layers);
      r.at_places.resize(layers);
      r.next.resize(layers);
      for (std::size_t l = 0; l < layers; ++l) {
        r.on[l].resize(z(view[l].count()));
        r.at_places[l].resize(places.size() * z(view[l].count()));
        r.next[l].assign(z(std::min(options.followed, view[l].count())),
                         std::vector<double>(z(model.config().vocab + 1)));
      }
      readings_.push_back(std::move(r));
    }
  }

  std::vector<ViewReading> read() {
    const int64_t n = static_cast<int64_t>(windows_.front().tokens.size());
    UnitTap tap(model_.config(), [this](int64_t layer, const Tensor& code) { take(layer, code); });
    for (first_ = 0; first_ < static_cast<int64_t>(windows_.size()); first_ += rows_) {
      rows_ = std::min<int64_t>(options_.batch, static_cast<int64_t>(windows_.size()) - first_);
      std::vector<int32_t> tokens;
      for (int64_t r = 0; r < rows_; ++r) {
        const auto& t = windows_[z(first_ + r)].tokens;
        tokens.insert(tokens.end(), t.begin(), t.end());
      }
      Run run(model_.device(), {.tap = &tap});
      model_.hidden(run, {tokens.data(), {rows_, n}, Dtype::i32});
      for (ViewReading& r : readings_) r.tokens += rows_ * n;
      if (options_.progress) options_.progress(first_ + rows_, static_cast<int64_t>(windows_.size()));
    }
    return std::move(readings_);
  }

 private:
  void take(int64_t layer, const Tensor& code) {
    for (std::size_t v = 0; v < views_.size(); ++v) {
      const Directions& directions = views_[v][z(layer)];
      values_.resize(z(code.rows() * directions.count()));
      directions.read(code.as<float>(), code.rows(), values_.data());
      count_on(readings_[v].on[z(layer)], directions.count(), code.rows());
      keep_places(readings_[v].at_places[z(layer)], directions.count());
      follow(readings_[v].next[z(layer)], directions.count());
    }
  }

  void count_on(std::vector<int64_t>& on, int64_t count, int64_t rows) const {
    parallel_for(count, 64, [&](int64_t lo, int64_t hi) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = lo; i < hi; ++i) on[z(i)] += values_[z(r * count + i)] > 0 ? 1 : 0;
      }
    });
  }

  void keep_places(std::vector<float>& to, int64_t count) const {
    const auto n = static_cast<int64_t>(windows_.front().tokens.size());
    const auto begin = std::lower_bound(places_.begin(), places_.end(), first_,
                                        [](const Place& p, int64_t w) { return p.window < w; });
    for (auto p = begin; p != places_.end() && p->window < first_ + rows_; ++p) {
      const float* from = values_.data() + ((p->window - first_) * n + p->position) * count;
      std::copy(from, from + count, to.data() + (p - places_.begin()) * count);
    }
  }

  void follow(std::vector<std::vector<double>>& next, int64_t count) const {
    const auto n = static_cast<int64_t>(windows_.front().tokens.size());
    for (int64_t r = 0; r < rows_; ++r) {
      const Window& w = windows_[z(first_ + r)];
      if (w.held_out) continue;
      for (int64_t i = 0; i + 1 < n; ++i) {
        for (std::size_t k = 0; k < next.size(); ++k) {
          const float value = values_[z((r * n + i) * count) + k];
          next[k][z(w.tokens[z(i + 1)])] += value;
          next[k].back() += value;
        }
      }
    }
  }

  LanguageModel& model_;
  const std::vector<Window>& windows_;
  const std::vector<View>& views_;
  const std::vector<Place>& places_;
  const ReadingOptions& options_;
  std::vector<ViewReading> readings_;
  std::vector<float> values_;
  int64_t first_ = 0, rows_ = 0;
};

}  // namespace

std::vector<ViewReading> read_windows(LanguageModel& model, const std::vector<Window>& windows,
                                      const std::vector<View>& views, const std::vector<Place>& places,
                                      const ReadingOptions& options) {
  require(!windows.empty(), "[report] there are no windows to read");
  return Reader(model, windows, views, places, options).read();
}

std::vector<std::vector<float>> mean_values(LanguageModel& model, const std::vector<LabelledText>& texts,
                                            const View& view) {
  const auto layers = z(model.config().layers);
  std::vector<std::vector<float>> out(layers);
  for (std::size_t l = 0; l < layers; ++l) out[l].resize(texts.size() * z(view[l].count()));
  std::size_t now = 0;
  std::vector<float> values;
  UnitTap tap(model.config(), [&](int64_t layer, const Tensor& code) {
    const Directions& directions = view[z(layer)];
    const int64_t count = directions.count(), rows = code.rows();
    values.resize(z(rows * count));
    directions.read(code.as<float>(), rows, values.data());
    float* to = out[z(layer)].data() + now * z(count);
    for (int64_t i = 0; i < count; ++i) {
      double sum = 0;
      for (int64_t r = 1; r < rows; ++r) sum += values[z(r * count + i)];  // row 0 is the separator
      to[i] = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(1, rows - 1)));
    }
  });
  for (now = 0; now < texts.size(); ++now) {
    std::vector<int32_t> tokens = texts[now].tokens;
    tokens.resize(std::min(tokens.size(), z(model.config().context)));
    Run run(model.device(), {.tap = &tap});
    model.hidden(run, {tokens.data(), {1, static_cast<int64_t>(tokens.size())}, Dtype::i32});
  }
  return out;
}

std::vector<double> coherence(LanguageModel& model, int64_t layer, const Directions& directions) {
  const int64_t n = directions.count();
  std::vector<std::vector<double>> rows(z(n));
  parallel_for(n, 1, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      auto& row = rows[z(i)] = written_by(model, layer, directions.vector(i));
      double square = 0;
      for (const double x : row) square += x * x;
      const double length = std::sqrt(square);
      for (double& x : row) x = length > 0 ? x / length : 0;
    }
  });
  std::vector<double> out(z(n));
  parallel_for(n, 1, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        if (j == i) continue;
        double dot = 0;
        for (std::size_t k = 0; k < rows[z(i)].size(); ++k) dot += rows[z(i)][k] * rows[z(j)][k];
        out[z(i)] = std::max(out[z(i)], std::abs(dot));
      }
    }
  });
  return out;
}

}  // namespace crate
