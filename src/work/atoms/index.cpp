#include "work/atoms/index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "work/atoms/schema.h"
#include "work/atoms/statistics.h"

namespace crate {
namespace {

template <class T> std::vector<T> numbers_of(std::span<const std::byte> blob, const std::string& path) {
  require(blob.size() % sizeof(T) == 0, "{}: a list of numbers was cut short; build the index again", path);
  std::vector<T> out(blob.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), blob.data(), blob.size());
  return out;
}

}  // namespace

std::string as_utf8(const std::string& bytes) {
  const std::string dumped = nlohmann::json(bytes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(dumped).get<std::string>();
}

AtomIndex::AtomIndex(const std::string& path) : database_(path, Database::Mode::read) {
  Statement meta(database_, "SELECT key, value FROM about");
  while (meta.step()) about_[meta.text(0)] = meta.text(1);
  require(about("format") == index_format, "{} is no index of atoms: its format is '{:.40}', expected '{}'", path,
          about("format"), index_format);
  require(about("version") == index_version, "{} has version {:.20} of the index, expected {}; build the index again",
          path, about("version"), index_version);
  chunk_ = std::atoll(about("chunk").c_str());
  require(chunk_ > 0 && chunk_ <= 1 << 20, "{} is damaged: chunks of {} tokens; build the index again", path, chunk_);
  Statement sites(database_, "SELECT name, first, atoms FROM site ORDER BY first");
  int64_t next = 0;
  while (sites.step()) {
    require(sites.integer(1) == next && sites.integer(2) > 0 && sites.integer(2) <= 1 << 24,
            "{} is damaged: its sites do not follow each other; build the index again", path);
    sites_.push_back(sites.text(0));
    first_.push_back(sites.integer(1));
    counts_.push_back(sites.integer(2));
    next += sites.integer(2);
  }
  Statement tokens(database_, "SELECT id, bytes FROM token ORDER BY id");
  while (tokens.step()) {
    require(tokens.integer(0) == static_cast<int64_t>(tokens_.size()),
            "{} is damaged: its vocabulary has gaps; build the index again", path);
    const auto bytes = tokens.blob(1);
    tokens_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
}

std::string AtomIndex::about(const std::string& key) const {
  const auto it = about_.find(key);
  return it == about_.end() ? std::string() : it->second;
}

bool AtomIndex::has(std::string_view site) const {
  return std::find(sites_.begin(), sites_.end(), site) != sites_.end();
}

int64_t AtomIndex::atoms(std::string_view site) const {
  const auto it = std::find(sites_.begin(), sites_.end(), site);
  require(it != sites_.end(), "{} knows no site {}; it has {} to {}", database_.path(), site,
          sites_.empty() ? "none" : sites_.front(), sites_.empty() ? "none" : sites_.back());
  return counts_[static_cast<std::size_t>(it - sites_.begin())];
}

int64_t AtomIndex::id(std::string_view site, int64_t atom) const {
  const int64_t n = atoms(site);
  require(atom >= 0 && atom < n, "{} has atoms 0 to {}, came {}", site, n - 1, atom);
  return first_[static_cast<std::size_t>(std::find(sites_.begin(), sites_.end(), site) - sites_.begin())] + atom;
}

std::vector<double> AtomIndex::histogram_borders() const {
  std::vector<double> out;
  for (int64_t i = 0; i <= SiteStatistics::bins; ++i) {
    const int64_t octave = SiteStatistics::first_octave + i / SiteStatistics::bins_per_octave;
    const double quarter = static_cast<double>(i % SiteStatistics::bins_per_octave) / SiteStatistics::bins_per_octave;
    out.push_back(std::ldexp(1 + quarter, static_cast<int>(octave)));
  }
  return out;
}

std::string AtomIndex::token_text(int32_t token) const {
  require(token >= 0 && static_cast<std::size_t>(token) < tokens_.size(), "{}: no token {}; build the index again",
          database_.path(), token);
  return tokens_[static_cast<std::size_t>(token)];
}

std::string AtomIndex::name_of(std::string_view site, int64_t atom) {
  if (!has(site) || atom < 0 || atom >= atoms(site)) return {};
  Statement s(database_, "SELECT name FROM atom WHERE id = ?");
  s.bind(id(site, atom));
  return s.step() ? s.text(0) : std::string();
}

AtomRecord AtomIndex::record(std::string_view site, int64_t atom) {
  Statement s(database_,
              "SELECT density, mean, variance, skewness, kurtosis, least, most, name, guess, kind, score, p_value, "
              "quantiles, histogram FROM atom WHERE id = ?");
  s.bind(id(site, atom));
  require(s.step(), "{} is damaged: it lacks {}:{}; build the index again", database_.path(), site, atom);
  AtomRecord r;
  r.site = site;
  r.atom = atom;
  r.density = s.real(0), r.mean = s.real(1), r.variance = s.real(2), r.skewness = s.real(3), r.kurtosis = s.real(4);
  r.least = s.real(5), r.most = s.real(6);
  r.name = s.text(7), r.guess = s.text(8), r.kind = s.text(9);
  r.score = s.real(10), r.p_value = s.real(11);
  for (const float q : numbers_of<float>(s.blob(12), database_.path())) r.quantiles.push_back(q);
  for (const uint32_t n : numbers_of<uint32_t>(s.blob(13), database_.path())) r.histogram.push_back(n);
  require(r.histogram.size() == SiteStatistics::bins, "{} is damaged: a histogram of {} bins; build the index again",
          database_.path(), r.histogram.size());
  return r;
}

std::vector<int32_t> AtomIndex::corpus_tokens(int64_t begin, int64_t length) {
  std::vector<int32_t> out;
  for (int64_t chunk = begin / chunk_; static_cast<int64_t>(out.size()) < length; ++chunk) {
    Statement s(database_, "SELECT tokens FROM corpus WHERE chunk = ?");
    s.bind(chunk);
    require(begin >= 0 && s.step(), "{} is damaged: it lacks a part of its text; build the index again",
            database_.path());
    const auto some = numbers_of<uint16_t>(s.blob(0), database_.path());
    const int64_t at = begin + static_cast<int64_t>(out.size()) - chunk * chunk_;
    require(at < static_cast<int64_t>(some.size()), "{} is damaged: its text is cut short; build the index again",
            database_.path());
    for (auto i = static_cast<std::size_t>(at); i < some.size() && static_cast<int64_t>(out.size()) < length; ++i)
      out.push_back(some[i]);
  }
  return out;
}

void AtomIndex::fill_tokens(AtomContext& c, std::span<const std::byte> values) {
  c.values = numbers_of<float>(values, database_.path());
  require(c.begin >= 0 && c.begin <= int64_t{1} << 48, "{} is damaged: a context at token {}; build the index again",
          database_.path(), c.begin);
  require(c.peak >= 0 && c.peak < static_cast<int64_t>(c.values.size()) && c.values.size() <= 4096,
          "{} is damaged: a context without its peak; build the index again", database_.path());
  if (!is_text()) return;
  c.tokens = corpus_tokens(c.begin, static_cast<int64_t>(c.values.size()));
  for (const int32_t t : c.tokens) c.texts.push_back(token_text(t));
}

std::vector<AtomContext> AtomIndex::contexts(std::string_view site, int64_t atom, int64_t most) {
  std::vector<AtomContext> out;
  for (const char* kind : {"top", "active"}) {
    Statement s(database_,
                "SELECT document, held_out, begin, peak, value, quantile, activations FROM context "
                "WHERE atom = ? AND kind = ? ORDER BY value DESC, begin LIMIT ?");
    s.bind(id(site, atom)).bind(std::string_view(kind)).bind(most);
    while (s.step()) {
      AtomContext c;
      c.kind = kind;
      c.document = s.integer(0), c.held_out = s.integer(1) != 0;
      c.begin = s.integer(2), c.peak = s.integer(3);
      c.value = s.real(4);
      c.quantile = s.integer(5);
      fill_tokens(c, s.blob(6));
      out.push_back(std::move(c));
    }
  }
  return out;
}

std::vector<AtomContext> AtomIndex::random_contexts(std::string_view site, int64_t atom, int64_t most) {
  Statement values(database_, "SELECT activations FROM sample_activation WHERE atom = ?");
  values.bind(id(site, atom));
  std::vector<AtomContext> out;
  if (!values.step()) return out;
  const auto all = numbers_of<float>(values.blob(0), database_.path());
  Statement s(database_, "SELECT document, held_out, begin, row, length FROM sample ORDER BY row LIMIT ?");
  s.bind(most);
  while (s.step()) {
    AtomContext c;
    c.kind = "random";
    c.document = s.integer(0), c.held_out = s.integer(1) != 0, c.begin = s.integer(2);
    const int64_t row = s.integer(3), length = s.integer(4);
    require(row >= 0 && length > 0 && length <= excerpt_tokens, "{} is damaged: a sample of {} tokens",
            database_.path(), length);
    if (length > static_cast<int64_t>(all.size()) || row > static_cast<int64_t>(all.size()) - length)
      break;  // of an atom only the first of them are kept
    const auto some = std::span(all).subspan(static_cast<std::size_t>(row), static_cast<std::size_t>(length));
    c.peak = std::max_element(some.begin(), some.end()) - some.begin();
    c.value = some[static_cast<std::size_t>(c.peak)];
    fill_tokens(c, std::as_bytes(some));
    out.push_back(std::move(c));
  }
  return out;
}

std::string AtomIndex::title(int64_t document) {
  Statement s(database_, "SELECT title FROM document WHERE id = ?");
  s.bind(document);
  return s.step() ? s.text(0) : std::string();
}

std::string AtomIndex::patch_of(const AtomContext& context) {
  const int64_t window = std::atoll(about("window").c_str()), columns = std::atoll(about("columns").c_str());
  if (window <= 0 || columns <= 0) return {};
  const int64_t patch = (context.begin + context.peak) % window - (about("class_token") == "1" ? 1 : 0);
  return fmt::format("{}: {}", title(context.document),
                     patch < 0 ? "class token" : fmt::format("row {}, column {}", patch / columns, patch % columns));
}

std::vector<TokenValue> AtomIndex::effects(std::string_view site, int64_t atom, bool raised) {
  Statement s(database_, raised ? "SELECT token, value FROM effect WHERE atom = ? AND place > 0 ORDER BY place"
                                : "SELECT token, value FROM effect WHERE atom = ? AND place < 0 ORDER BY place DESC");
  s.bind(id(site, atom));
  std::vector<TokenValue> out;
  while (s.step()) {
    const auto token = static_cast<int32_t>(s.integer(0));
    out.push_back({token, token_text(token), s.real(1), 0});
  }
  return out;
}

std::vector<TokenValue> AtomIndex::raises(std::string_view site, int64_t atom) { return effects(site, atom, true); }
std::vector<TokenValue> AtomIndex::lowers(std::string_view site, int64_t atom) { return effects(site, atom, false); }

std::pair<std::vector<double>, std::vector<int64_t>> AtomIndex::logit_histogram(std::string_view site, int64_t atom) {
  Statement s(database_, "SELECT logit_least, logit_most, logit_histogram FROM atom WHERE id = ?");
  s.bind(id(site, atom));
  require(s.step(), "{} is damaged: it lacks {}:{}; build the index again", database_.path(), site, atom);
  std::pair<std::vector<double>, std::vector<int64_t>> out;
  const auto counts = numbers_of<uint32_t>(s.blob(2), database_.path());
  const double lo = s.real(0), hi = s.real(1);
  for (std::size_t i = 0; i <= counts.size(); ++i)
    out.first.push_back(lo + (hi - lo) * static_cast<double>(i) /
                                 static_cast<double>(std::max<std::size_t>(1, counts.size())));
  out.second.assign(counts.begin(), counts.end());
  return out;
}

std::vector<TokenValue> AtomIndex::token_table(std::string_view site, int64_t atom) {
  Statement s(database_, "SELECT token, mean, count FROM token_mean WHERE atom = ? ORDER BY place");
  s.bind(id(site, atom));
  std::vector<TokenValue> out;
  while (s.step()) {
    const auto token = static_cast<int32_t>(s.integer(0));
    out.push_back({token, token_text(token), s.real(1), s.integer(2)});
  }
  return out;
}

std::vector<RelatedAtom> AtomIndex::related(std::string_view site, int64_t atom) {
  Statement s(database_, "SELECT other, correlation FROM related WHERE atom = ? ORDER BY place");
  s.bind(id(site, atom));
  std::vector<RelatedAtom> out;
  while (s.step()) out.push_back({s.integer(0), s.real(1)});
  return out;
}

std::vector<ConceptMatch> AtomIndex::concepts(std::string_view site, int64_t atom) {
  Statement s(database_,
              "SELECT feature, threshold, f1_train, f1, precision, recall FROM concept WHERE atom = ? ORDER BY place");
  s.bind(id(site, atom));
  std::vector<ConceptMatch> out;
  while (s.step()) out.push_back({s.text(0), s.real(1), s.real(2), s.real(3), s.real(4), s.real(5)});
  return out;
}

std::vector<SimulatorScore> AtomIndex::scores(std::string_view site, int64_t atom) {
  Statement s(database_, "SELECT simulator, top_and_random, random_only FROM score WHERE atom = ? ORDER BY simulator");
  s.bind(id(site, atom));
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<SimulatorScore> out;
  while (s.step()) out.push_back({s.text(0), s.is_null(1) ? none : s.real(1), s.is_null(2) ? none : s.real(2)});
  return out;
}

}  // namespace crate
