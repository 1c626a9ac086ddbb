// The index of a model whose atoms were set by hand: densities, contexts, names, effects, and chance rejected.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/isa.h"
#include "testing/folder.h"
#include "work/atoms/build.h"
#include "work/atoms/export.h"
#include "work/atoms/index.h"
#include "work/atoms/text_observation.h"

namespace crate {
namespace {

constexpr int64_t context = 64, dim = 32;

bool is_capital(int64_t byte) { return byte >= 'A' && byte <= 'Z'; }
bool is_digit(int64_t byte) { return byte >= '0' && byte <= '9'; }
bool is_planted_place(int64_t position) {
  return position >= 16 && Rng(5, Stream::test).below(6, 9, static_cast<uint64_t>(position)) == 0;
}

// Channels 0 .. 3 of the stream say what a token is, the others hold its length: after the norm a channel that is on
// stands at about 2, one that is off at about 0.
void plant_embedding(LanguageModel& model) {
  const auto fill = [&](const char* name, const std::function<float(int64_t, int64_t)>& value) {
    const Tensor& t = model.store().at(name).value;
    for (int64_t i = 0; i < t.numel(); ++i) t.as<float>()[i] = value(i / t.cols(), i % t.cols());
  };
  fill("embed.tokens", [](int64_t token, int64_t channel) {
    if (channel == 0) return token == 'e' ? 1.0F : 0.0F;
    if (channel == 1) return is_digit(token) ? 1.0F : 0.0F;
    if (channel == 2) return is_capital(token) ? 1.0F : 0.0F;
    if (channel == 3) return 0.0F;
    return (channel % 2 == 0 ? 0.5F : -0.5F) * (token == 'z' && channel < 8 ? -1.0F : 1.0F);
  });
  fill("embed.pos",
       [](int64_t place, int64_t channel) { return channel == 3 && is_planted_place(place) ? 1.0F : 0.0F; });
}

// Layer 0, over bytes:
//   atom 0   "e"                                  atom 3   random places of the window, whatever stands there
//   atom 1   digits                               atom 4   as atom 0
//   atom 2   capital letters, which begin a word  others   never
// Atom 0 of the twin writes what raises the token "z".
std::unique_ptr<LanguageModel> planted_model(Device& device, Family family) {
  ModelConfig c;
  c.family = family;
  c.dim = dim;
  c.heads = 2;
  c.layers = 1;
  c.context = context;
  c.atoms = 40;
  c.lambda = {1.0};
  c.eta = {0.5};
  auto model = std::make_unique<LanguageModel>(device, c);
  model->init(1);
  plant_embedding(*model);
  const bool white = is_white_box(family);
  const auto zero = [&](const std::string& name) {
    const Tensor& t = model->store().at(name).value;
    std::fill_n(t.as<float>(), t.numel(), 0.0F);
    return t.as<float>();
  };
  zero(white ? "blocks.0.mssa.w" : "blocks.0.mha.w");
  float* find = zero(white ? "blocks.0.ista.dict" : "blocks.0.mlp.w_in");
  for (int64_t atom = 0; atom < 4; ++atom) find[atom * dim + atom] = 1;
  find[4 * dim] = white ? 0.9F : 1.0F;
  if (!white) {
    std::fill_n(model->store().at("blocks.0.mlp.b_in").value.as<float>(), 40, -1.0F);
    float* write = zero("blocks.0.mlp.w_out");
    for (int64_t channel = 4; channel < 8; ++channel) write[channel * 40] = channel % 2 == 0 ? -1.0F : 1.0F;
  }
  model->store().values_changed();
  return model;
}

std::string planted_document(uint64_t number) {
  const Rng rng(7, Stream::test);
  uint64_t draw = 0;
  const auto below = [&](uint64_t n) { return rng.below(n, 100 + number, draw++); };
  std::string out;
  for (int word = 0; word < 60; ++word) {
    if (below(8) == 0) {
      out += std::to_string(below(1000));
    } else {
      std::string letters;
      for (uint64_t i = 0; i < 2 + below(5); ++i) letters += static_cast<char>('a' + below(20));
      if (below(6) == 0) letters[0] = static_cast<char>(letters[0] - 'a' + 'A');
      out += letters;
    }
    out += below(10) == 0 ? ". " : below(8) == 0 ? ", " : " ";
  }
  return out;
}

// Documents with a separator before each.
Tokens planted_text(int64_t documents) {
  std::vector<uint16_t> tokens;
  for (int64_t d = 0; d < documents; ++d) {
    tokens.push_back(256);
    for (const char c : planted_document(static_cast<uint64_t>(d))) tokens.push_back(static_cast<unsigned char>(c));
  }
  return Tokens::from_memory(std::move(tokens), "planted");
}

void build_planted(LanguageModel& model, const Tokens& text, const std::string& path, BuildSummary* summary = nullptr) {
  const auto bytes = byte_tokenizer();
  TextObservation seen(model, *bytes, text, {.batch = 4, .memory_mb = 32, .sample_excerpts = 40, .inventory = "none"});
  BuildOptions o;
  o.names.permutations = 99;  // 1 in 100 is the level that names must reach
  o.about = {{"model", "planted"}};
  const BuildSummary s = build_index(seen, path, o);
  if (summary) *summary = s;
}

// One index a family serves all tests that read it.
struct PlantedIndex {
  explicit PlantedIndex(Family family) : model(planted_model(device, family)) {
    build_planted(*model, text, folder.at("atoms.sqlite"), &summary);
    index = std::make_unique<AtomIndex>(folder.at("atoms.sqlite"));
  }
  static PlantedIndex& of(Family family) {
    static std::map<Family, PlantedIndex> all;
    return all.try_emplace(family, family).first->second;
  }
  Folder folder;
  Device device;
  Tokens text = planted_text(36);
  std::unique_ptr<LanguageModel> model;
  BuildSummary summary;
  std::unique_ptr<AtomIndex> index;
};

class Planted : public testing::TestWithParam<Family> {
 protected:
  double share(const std::function<bool(int64_t token, int64_t place)>& is) const {
    std::vector<int32_t> all(static_cast<std::size_t>(text.size()));
    text.copy(0, text.size(), all.data());
    int64_t n = 0;
    for (int64_t i = 0; i < text.size(); ++i) n += is(all[static_cast<std::size_t>(i)], i % context) ? 1 : 0;
    return static_cast<double>(n) / static_cast<double>(text.size());
  }
  PlantedIndex& made = PlantedIndex::of(GetParam());
  const Tokens& text = made.text;
  AtomIndex* index = made.index.get();
  std::string site = index->sites().front();
  Folder folder;
};

TEST_P(Planted, DensitiesAreThoseOfTheText) {
  EXPECT_EQ(site, is_white_box(GetParam()) ? "blocks.0.ista.code" : "blocks.0.mlp.hidden");
  EXPECT_EQ(index->atoms(site), 40);
  const auto density = [&](int64_t atom) { return index->record(site, atom).density; };
  EXPECT_NEAR(density(0), share([](int64_t t, int64_t) { return t == 'e'; }), 1e-9);
  EXPECT_NEAR(density(1), share([](int64_t t, int64_t) { return is_digit(t); }), 1e-9);
  EXPECT_NEAR(density(2), share([](int64_t t, int64_t) { return is_capital(t); }), 1e-9);
  EXPECT_NEAR(density(3), share([](int64_t, int64_t p) { return is_planted_place(p); }), 1e-9);
  EXPECT_EQ(density(9), 0);
  EXPECT_EQ(made.summary.silent, 35);
  const AtomRecord r = index->record(site, 0);
  int64_t counted = 0;
  for (const int64_t n : r.histogram) counted += n;
  EXPECT_EQ(counted, std::llround(r.density * static_cast<double>(text.size())));
  EXPECT_NEAR(r.mean, r.density * r.most, 0.2 * r.density * r.most);
  EXPECT_GT(r.kurtosis, 3);  // rare and large
}

TEST_P(Planted, NamesSayWhatWasPlanted) {
  EXPECT_EQ(index->name_of(site, 0), "\"e\"");
  EXPECT_EQ(index->name_of(site, 1), "number");
  EXPECT_EQ(index->name_of(site, 2), "Capitalised word + begins a word");
  EXPECT_EQ(index->name_of(site, 3), "") << "an atom that text does not explain got a name";
  EXPECT_EQ(index->name_of(site, 9), "");
  EXPECT_EQ(index->name_of("blocks.7.z", 0), "");
  EXPECT_GT(index->record(site, 0).score, 0.95);
  EXPECT_LE(index->record(site, 0).p_value, 0.01);
  ASSERT_FALSE(index->concepts(site, 1).empty());
  EXPECT_EQ(index->concepts(site, 1)[0].text, "number");
  EXPECT_NEAR(index->concepts(site, 1)[0].f1, 1, 1e-9);
  const std::vector<SimulatorScore> scores = index->scores(site, 2);
  ASSERT_EQ(scores.size(), 4u);
  EXPECT_EQ(scores[2].simulator, "S2");
  EXPECT_GT(scores[2].top_and_random, 0.9);
}

TEST_P(Planted, ContextsAreOfDifferentDocumentsAndShowThePeak) {
  std::set<int64_t> documents;
  int64_t tops = 0, active = 0;
  double last = 1e30;
  for (const AtomContext& c : index->contexts(site, 1)) {
    EXPECT_TRUE(is_digit(c.texts[static_cast<std::size_t>(c.peak)][0]));
    EXPECT_EQ(c.values[static_cast<std::size_t>(c.peak)], static_cast<float>(c.value));
    EXPECT_EQ(c.held_out, c.document % 2 == 1);
    for (std::size_t i = 1; i < c.tokens.size(); ++i) EXPECT_NE(c.tokens[i], 256) << "a context crosses documents";
    std::vector<int32_t> there(c.tokens.size());
    text.copy(c.begin, static_cast<int64_t>(there.size()), there.data());
    EXPECT_EQ(there, c.tokens);
    if (c.kind == "top") {
      EXPECT_TRUE(documents.insert(c.document).second) << "two top contexts of one document";
      EXPECT_LE(c.value, last);
      last = c.value;
      ++tops;
    } else {
      EXPECT_GE(c.quantile, 0);
      ++active;
    }
  }
  EXPECT_EQ(tops, 24);
  EXPECT_GE(active, 20);
  EXPECT_FALSE(index->random_contexts(site, 1).empty());
  EXPECT_TRUE(index->contexts(site, 9).empty());
}

TEST_P(Planted, EffectsAndRelations) {
  ASSERT_FALSE(index->related(site, 0).empty());
  EXPECT_EQ(index->related(site, 0)[0].atom, 4);
  EXPECT_GT(index->related(site, 0)[0].correlation, 0.9);
  EXPECT_EQ(index->token_table(site, 0)[0].text, "e");
  const auto raised = index->raises(site, 0), lowered = index->lowers(site, 0);
  ASSERT_EQ(raised.size(), 10u);
  EXPECT_GE(raised[0].value, raised[9].value);
  EXPECT_LE(lowered[0].value, lowered[9].value);
  if (GetParam() == Family::gpt_relu) {
    EXPECT_EQ(raised[0].text, "z");
  }
  const auto [borders, counts] = index->logit_histogram(site, 0);
  int64_t tokens = 0;
  for (const int64_t n : counts) tokens += n;
  EXPECT_EQ(tokens, 257);
  EXPECT_NEAR(borders.back(), raised[0].value, 1e-6);
}

TEST_P(Planted, ExportsHaveTheKeysOfOtherTools) {
  using nlohmann::json;
  EXPECT_EQ(export_atoms(*index, folder.at("d"), {.batch = 16}), 3);
  const json batch = json::parse(read_text_file(folder.at("d/" + site + "/batch-0.json")));
  for (const char* key : {"model_id", "layer", "sae_set", "sae_id_suffix", "features"})
    EXPECT_TRUE(batch.contains(key)) << key;
  const json& feature = batch["features"][1];
  for (const char* key : {"feature_index",
                          "neuron_alignment_indices",
                          "neuron_alignment_values",
                          "neuron_alignment_l1",
                          "correlated_neurons_indices",
                          "correlated_neurons_l1",
                          "correlated_neurons_pearson",
                          "correlated_features_indices",
                          "correlated_features_l1",
                          "correlated_features_pearson",
                          "neg_str",
                          "neg_values",
                          "pos_str",
                          "pos_values",
                          "frac_nonzero",
                          "freq_hist_data_bar_values",
                          "freq_hist_data_bar_heights",
                          "logits_hist_data_bar_values",
                          "logits_hist_data_bar_heights",
                          "n_prompts_total",
                          "n_tokens_in_prompt",
                          "dataset",
                          "decoder_weights_dist",
                          "vector",
                          "activations"})
    EXPECT_TRUE(feature.contains(key)) << key;
  const json& activation = feature["activations"][0];
  for (const char* key : {"bin_min", "bin_max", "bin_contains", "tokens", "values", "qualifying_token_index"})
    EXPECT_TRUE(activation.contains(key)) << key;
  EXPECT_EQ(activation["tokens"].size(), activation["values"].size());
  EXPECT_EQ(export_atoms(*index, folder.at("n"), {.format = AtomFormat::neuron_records, .first = 1, .count = 2}), 2);
  const json record = json::parse(read_text_file(folder.at("n/" + site + "/1.json")));
  for (const char* key : {"neuron_id", "random_sample", "random_sample_by_quantile", "quantile_boundaries", "mean",
                          "variance", "skewness", "kurtosis", "most_positive_activation_records"})
    EXPECT_TRUE(record.contains(key)) << key;
  EXPECT_EQ(record["neuron_id"], (json{{"layer_index", 0}, {"neuron_index", 1}}));
  EXPECT_EQ(record["random_sample_by_quantile"].size(), 10u);
  EXPECT_EQ(record["quantile_boundaries"].size(), 11u);
}

INSTANTIATE_TEST_SUITE_P(Families, Planted, testing::Values(Family::crate_lm, Family::gpt_relu), [](const auto& info) {
  return std::string(info.param == Family::crate_lm ? "crate_lm" : "gpt_relu");
});

TEST(AtomIndex, IsTheSameForEveryNumberOfThreads) {
  if (cpu_isa() != Isa::avx512) GTEST_SKIP() << "without AVX-512 oneDNN cuts the sum of a product among threads";
  const Folder folder;
  Device device;
  const auto model = planted_model(device, Family::gpt_relu);
  const int threads = thread_count();
  for (const int n : {1, 2}) {
    set_thread_count(n);
    build_planted(*model, planted_text(12), folder.at(std::to_string(n)));
  }
  set_thread_count(threads);
  EXPECT_TRUE(read_text_file(folder.at("1")) == read_text_file(folder.at("2")));
}

TEST(AtomIndex, CutsATextWithoutDocuments) {
  const Folder folder;
  Device device;
  const auto model = planted_model(device, Family::gpt_relu);
  std::vector<uint16_t> tokens;
  for (uint64_t d = 0; d < 20; ++d)
    for (const char c : planted_document(d)) tokens.push_back(static_cast<unsigned char>(c));
  build_planted(*model, Tokens::from_memory(tokens, "one"), folder.at("a"));
  AtomIndex index(folder.at("a"));
  EXPECT_EQ(index.about("documents"), "64");
  EXPECT_EQ(index.name_of("blocks.0.mlp.hidden", 0), "\"e\"");
  EXPECT_NE(message_of([&] { build_planted(*model, Tokens::from_memory({}, "none"), folder.at("b")); }), "no error");
}

TEST(AtomIndex, RefusesFilesThatAreNone) {
  const Folder folder;
  const auto message = [&](const std::string& name) { return message_of([&] { AtomIndex index(folder.at(name)); }); };
  EXPECT_NE(message("absent").find("absent"), std::string::npos);
  folder.with("text", "this is no database, but it is long enough to look like something that could be one");
  EXPECT_NE(message("text").find("text"), std::string::npos);
  folder.with("empty", "");
  EXPECT_NE(message("empty"), "no error");
  const auto make = [&](const std::string& name, const std::string& sql) {
    Database database(folder.at(name), Database::Mode::write);
    database.run(sql);
  };
  make("schema", "CREATE TABLE other (x);");
  EXPECT_NE(message("schema"), "no error");
  make("format", "CREATE TABLE about (key, value); INSERT INTO about VALUES ('format', 'another');");
  EXPECT_NE(message("format").find("another"), std::string::npos);
  make("version",
       "CREATE TABLE about (key, value); INSERT INTO about VALUES ('format', 'crate atoms'), ('version', '99');");
  EXPECT_NE(message("version").find("99"), std::string::npos);
  const std::string head =
      "CREATE TABLE about (key, value); INSERT INTO about VALUES ('format', 'crate atoms'), ('version', '1'), "
      "('chunk', "
      "'1024'); CREATE TABLE site (name, first, atoms); CREATE TABLE token (id, bytes);";
  make("gap", head + "INSERT INTO site VALUES ('s', 5, 3);");
  EXPECT_NE(message("gap"), "no error");
  make("lists", head +
                    "INSERT INTO site VALUES ('s', 0, 1); CREATE TABLE context (atom, kind, document, held_out, begin, "
                    "peak, value, quantile, activations); INSERT INTO context VALUES (0, 'top', 0, 0, 0, 7, 1.0, 0, "
                    "x'00000000');");
  EXPECT_EQ(message("lists"), "no error");
  AtomIndex lists(folder.at("lists"));
  EXPECT_NE(message_of([&] { lists.contexts("s", 0); }).find("damaged"), std::string::npos);
  EXPECT_NE(message_of([&] { lists.record("s", 0); }), "no error");
  EXPECT_NE(message_of([&] { lists.record("s", 1); }), "no error");
  EXPECT_NE(message_of([&] { lists.raises("t", 0); }), "no error");
}

}  // namespace
}  // namespace crate
