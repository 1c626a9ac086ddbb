#include "work/atoms/build.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "work/atoms/database.h"
#include "work/atoms/effects.h"
#include "work/atoms/schema.h"

namespace crate {
namespace {

constexpr int64_t chunk_tokens = 1024;
constexpr int64_t kept_sample_tokens = 10 * excerpt_tokens;  // of the sample, in the file

template <class T> std::span<const std::byte> bytes_of(const std::vector<T>& v) { return std::as_bytes(std::span(v)); }

// Values at the borders of the tenths of what is above 0, to a quarter octave.
std::vector<float> tenths(const SiteStatistics& site, int64_t atom) {
  std::vector<float> out;
  const SiteStatistics::Moments moments = site.moments(atom);
  if (moments.positive == 0) return out;
  int64_t bin = -1;
  double below = 0;
  const auto border = [](int64_t b) {
    return static_cast<float>(
        std::ldexp(1 + static_cast<double>(b % SiteStatistics::bins_per_octave) / SiteStatistics::bins_per_octave,
                   static_cast<int>(SiteStatistics::first_octave + b / SiteStatistics::bins_per_octave)));
  };
  out.push_back(0);
  for (int tenth = 1; tenth < 10; ++tenth) {
    while (below < tenth * moments.positive / 10 && bin + 1 < SiteStatistics::bins) below += site.in_bin(atom, ++bin);
    out.push_back(std::min(border(bin + 1), moments.most));
  }
  out.push_back(moments.most);
  return out;
}

int64_t tenth_of(const std::vector<float>& borders, float value) {
  int64_t q = 0;
  while (q < 9 && value > borders[static_cast<std::size_t>(q) + 1]) ++q;
  return q;
}

// The tables of one index, filled in the order of the atoms.
class Writer {
 public:
  Writer(Observation& seen, const std::string& path) : seen_(seen), database_(path) {}

  void about(const std::map<std::string, std::string>& lines) {
    Statement s(database_, "INSERT INTO about VALUES (?, ?)");
    for (const auto& [key, value] : lines) s.bind(std::string_view(key)).bind(std::string_view(value)).execute();
  }

  void vocabulary() {
    Statement s(database_, "INSERT INTO token VALUES (?, ?)");
    for (int64_t t = 0; t < seen_.outputs(); ++t) {
      const std::string text = seen_.output_text(t);
      s.bind(t).bind(std::as_bytes(std::span(text))).execute();
    }
  }

  // Titles of images.
  void documents() {
    Statement s(database_, "INSERT INTO document VALUES (?, ?)");
    for (int64_t d = 0; d < seen_.documents(); ++d)
      if (const std::string title = seen_.title(d); !title.empty()) s.bind(d).bind(std::string_view(title)).execute();
  }

  void sample() {
    Statement s(database_, "INSERT INTO sample VALUES (?, ?, ?, ?, ?)");
    for (const SampleExcerpt& e : seen_.sample()) {
      s.bind(e.row).bind(int64_t{e.document}).bind(int64_t{is_held_out(e.document)}).bind(e.begin);
      s.bind(e.length).execute();
      if (e.row + e.length <= kept_sample_tokens) need(e.begin, e.length);
    }
  }

  void site(int64_t layer, const std::vector<Meaning>& meanings) {
    const SiteStatistics& site = seen_.site(layer);
    const int64_t m = site.sizes().atoms, first = layer * m;
    Statement(database_, "INSERT INTO site VALUES (?, ?, ?)")
        .bind(std::string_view(seen_.sites()[static_cast<std::size_t>(layer)]))
        .bind(first)
        .bind(m)
        .execute();
    const std::vector<Effects> effects = direct_effects(seen_, layer);
    const auto related = most_correlated(site);
    for (int64_t atom = 0; atom < m; ++atom) {
      const auto a = static_cast<std::size_t>(atom);
      write_atom(site, first + atom, atom, meanings[a], effects[a]);
      write_contexts(site, first + atom, atom);
      write_tokens(site, first + atom, atom);
      write_meaning(first + atom, meanings[a]);
      int64_t place = 0;
      for (const auto& [other, r] : related[a])
        related_.bind(first + atom).bind(++place).bind(int64_t{other}).bind(static_cast<double>(r)).execute();
    }
  }

  void finish() {
    Statement s(database_, "INSERT INTO corpus VALUES (?, ?)");
    for (const int64_t chunk : chunks_) {
      const int64_t begin = chunk * chunk_tokens, end = std::min(seen_.size(), begin + chunk_tokens);
      std::vector<uint16_t> narrow;
      for (const int32_t t : seen_.read_tokens(begin, end)) narrow.push_back(static_cast<uint16_t>(t));
      s.bind(chunk).bind(bytes_of(narrow)).execute();
    }
    database_.run(index_keys);
    database_.run("COMMIT");
  }

 private:
  void need(int64_t begin, int64_t length) {
    if (!seen_.is_text()) return;
    for (int64_t c = begin / chunk_tokens; c <= (begin + length - 1) / chunk_tokens; ++c) chunks_.insert(c);
  }

  void write_atom(const SiteStatistics& site, int64_t id, int64_t atom, const Meaning& meaning, const Effects& e) {
    const SiteStatistics::Moments s = site.moments(atom);
    const double n = s.tokens, mean = s.sum / n, second = s.square / n, third = s.cube / n, fourth = s.fourth / n;
    const double variance = std::max(0.0, second - mean * mean), deviation = std::sqrt(variance);
    const double cube = third - 3 * mean * second + 2 * mean * mean * mean;
    const double quartic = fourth - 4 * mean * third + 6 * mean * mean * second - 3 * mean * mean * mean * mean;
    const bool varies = variance > 1e-12 * second;
    std::vector<uint32_t> histogram;
    for (int64_t b = 0; b < SiteStatistics::bins; ++b) histogram.push_back(site.in_bin(atom, b));
    atom_.bind(id).bind(s.positive / n).bind(mean).bind(variance);
    atom_.bind(varies ? cube / (variance * deviation) : 0.0).bind(varies ? quartic / (variance * variance) : 0.0);
    atom_.bind(static_cast<double>(s.least)).bind(static_cast<double>(s.most));
    atom_.bind(std::string_view(meaning.name))
        .bind(std::string_view(meaning.guess))
        .bind(std::string_view(meaning.kind));
    atom_.bind(meaning.score).bind(meaning.p_value);
    atom_.bind(bytes_of(tenths(site, atom))).bind(bytes_of(histogram));
    atom_.bind(static_cast<double>(e.least)).bind(static_cast<double>(e.most)).bind(bytes_of(e.histogram)).execute();
    int64_t place = 0;
    for (const auto& [token, value] : e.raised)
      effect_.bind(id).bind(++place).bind(int64_t{token}).bind(static_cast<double>(value)).execute();
    place = 0;
    for (const auto& [token, value] : e.lowered)
      effect_.bind(id).bind(--place).bind(int64_t{token}).bind(static_cast<double>(value)).execute();
  }

  void write_contexts(const SiteStatistics& site, int64_t id, int64_t atom) {
    const std::vector<float> borders = tenths(site, atom);
    const auto write = [&](const Excerpt& e, const char* kind, bool held_out) {
      if (e.document < 0) return;
      need(e.begin, e.length);
      context_.bind(id).bind(std::string_view(kind)).bind(int64_t{e.document}).bind(int64_t{held_out}).bind(e.begin);
      context_.bind(int64_t{e.peak}).bind(static_cast<double>(e.value)).bind(tenth_of(borders, e.value));
      context_.bind(std::as_bytes(std::span(e.values.data(), e.length))).execute();
    };
    for (const bool half : {false, true}) {
      for (int64_t k = 0; k < top_excerpts; ++k) write(site.top(atom, half, k), "top", half);
      for (int64_t k = 0; k < active_excerpts; ++k) write(site.active(atom, half, k), "active", half);
    }
    std::vector<float> values;
    const int64_t m = site.sizes().atoms;
    for (int64_t row = 0; row < std::min(site.sizes().sample, kept_sample_tokens); ++row)
      values.push_back(site.sample()[static_cast<std::size_t>(row * m + atom)]);
    sample_.bind(id).bind(bytes_of(values)).execute();
  }

  // The tokens with the largest sum of activations.
  void write_tokens(const SiteStatistics& site, int64_t id, int64_t atom) {
    constexpr int64_t listed = 20;
    std::vector<std::pair<float, int64_t>> order;
    for (int64_t row = 0; row < site.sizes().ngrams && seen_.ngrams().tokens_of(row).size() == 1; ++row)
      if (const float sum = site.ngram_sum(atom, row); sum > 0) order.emplace_back(-sum, row);
    const auto n = std::min<std::size_t>(listed, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end());
    for (std::size_t i = 0; i < n; ++i) {
      const auto [sum, row] = order[i];
      const double count = seen_.ngram_count(row);
      token_.bind(id).bind(static_cast<int64_t>(i) + 1).bind(int64_t{seen_.ngrams().tokens_of(row).front()});
      token_.bind(-sum / std::max(1.0, count)).bind(static_cast<int64_t>(count)).execute();
    }
  }

  void write_meaning(int64_t id, const Meaning& meaning) {
    for (const SimulatorScore& s : meaning.scores) {
      score_.bind(id).bind(std::string_view(s.simulator));
      for (const double value : {s.top_and_random, s.random_only}) {
        if (std::isnan(value))
          score_.bind_null();
        else
          score_.bind(value);
      }
      score_.execute();
    }
    int64_t place = 0;
    for (const ConceptMatch& c : meaning.concepts) {
      concept_.bind(id).bind(++place).bind(std::string_view(c.text)).bind(c.threshold).bind(c.f1_train);
      concept_.bind(c.f1).bind(c.precision).bind(c.recall).execute();
    }
  }

  // A database with the empty tables.
  struct Fresh : Database {
    explicit Fresh(const std::string& path) : Database(path, Mode::write) {
      run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;");
      run(index_schema);
    }
  };
  static std::string into(const char* table, int columns) {
    std::string marks = "?";
    for (int i = 1; i < columns; ++i) marks += ", ?";
    return fmt::format("INSERT INTO {} VALUES ({})", table, marks);
  }

  Observation& seen_;
  Fresh database_;
  std::set<int64_t> chunks_;  // of the corpus, that some context shows
  Statement atom_{database_, into("atom", 18)}, context_{database_, into("context", 9)},
      sample_{database_, into("sample_activation", 2)}, effect_{database_, into("effect", 4)},
      token_{database_, into("token_mean", 5)}, related_{database_, into("related", 4)},
      concept_{database_, into("concept", 8)}, score_{database_, into("score", 4)};
};

std::vector<Meaning> meanings_of(Observation& seen, const Windows& windows, int64_t layer,
                                 const BuildOptions& options) {
  const int64_t m = seen.site(layer).sizes().atoms;
  std::vector<Meaning> out(static_cast<std::size_t>(m));
  parallel_chunks(m, 8, [&](int64_t, int64_t lo, int64_t hi) {
    for (int64_t atom = lo; atom < hi; ++atom)
      out[static_cast<std::size_t>(atom)] =
          meaning_of(seen, layer, atom, examples_of(seen, windows, layer, atom), options.names);
  });
  return out;
}

void count(const std::vector<Meaning>& meanings, BuildSummary& summary) {
  for (const Meaning& m : meanings) {
    ++summary.atoms;
    summary.silent += m.scores.empty() ? 1 : 0;
    summary.guessed += m.guess.empty() ? 0 : 1;
    summary.named += m.name.empty() ? 0 : 1;
    summary.mean_score += m.name.empty() ? 0 : m.score;
  }
}

}  // namespace

BuildSummary build_index(Observation& seen, const std::string& path, const BuildOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  seen.read();
  const Windows windows(seen);
  BuildSummary summary;
  summary.tokens = seen.size();
  summary.documents = seen.documents();
  summary.read_seconds = seen.seconds();
  const std::string unfinished = path + ".new";
  std::filesystem::remove(unfinished);
  {
    Writer writer(seen, unfinished);
    writer.vocabulary();
    writer.documents();
    writer.sample();
    const auto layers = static_cast<int64_t>(seen.sites().size());
    for (int64_t layer = 0; layer < layers; ++layer) {
      if (options.progress) options.progress(layer, layers);
      const std::vector<Meaning> meanings = meanings_of(seen, windows, layer, options);
      count(meanings, summary);
      writer.site(layer, meanings);
    }
    std::map<std::string, std::string> about = options.about;
    about.merge(seen.about());
    about.insert({{"format", index_format},
                  {"version", index_version},
                  {"chunk", fmt::format("{}", chunk_tokens)},
                  {"family", name_of(seen.model().config().family)},
                  {"tokens", fmt::format("{}", summary.tokens)},
                  {"documents", fmt::format("{}", summary.documents)},
                  {"held_out_tokens", fmt::format("{:.0f}", seen.tokens_of(true))},
                  {"window", fmt::format("{}", seen.window_tokens())},
                  {"features", fmt::format("{}", seen.features())},
                  {"permutations", fmt::format("{}", options.names.permutations)},
                  {"level", fmt::format("{}", options.names.level)},
                  {"least_score", fmt::format("{}", options.names.least_score)},
                  {"direct_path", has_direct_path(seen.model().config()) ? "yes" : "last layer only"},
                  {"named", fmt::format("{}", summary.named)}});
    writer.about(about);
    writer.finish();
  }
  rename_durably(unfinished, path);
  summary.mean_score /= static_cast<double>(std::max<int64_t>(1, summary.atoms));
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace crate
