// What is measured, against the authors' values and against definitions written out by hand.
#include "work/measure/measure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "testing/folder.h"
#include "testing/models.h"
#include "testing/reference.h"
#include "work/measure/rate.h"
#include "work/measure/report.h"
#include "work/measure/tap.h"

namespace crate {
namespace {

double length(const double* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return std::sqrt(sum);
}

TEST(Rate, IsTheAuthors) {
  const std::string path = CRATE_SOURCE_DIR "/../shared/fixtures/coding_rate_s.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const SafetensorsFile file = read_safetensors(path);
  const auto numbers = [&](const std::string& name) { return file.tensors.at(name).to_f64(); };
  for (const char* item : {"0", "1", "2"}) {
    const std::vector<double> x = numbers(std::string("in/X") + item);
    const auto& shape = file.tensors.at(std::string("in/X") + item).shape;  // batch, heads, tokens, width
    const int64_t batch = shape[0], heads = shape[1], n = shape[2], p = shape[3];
    Spread spread;
    for (int64_t b = 0; b < batch; ++b) {
      std::vector<double> coords(static_cast<std::size_t>(n * heads * p));
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < n * p; ++i) coords[i / p * heads * p + h * p + i % p] = x[(b * heads + h) * n * p + i];
      spread.add(compressed_rate_of({coords.data(), n, heads * p, heads * p}, heads,
                                    numbers(std::string("in/eps") + item)[0], true));
    }
    EXPECT_NEAR(spread.mean() / numbers(std::string("out/mean") + item)[0], 1, 1e-10) << item;
    EXPECT_NEAR(spread.deviation() / numbers(std::string("out/std") + item)[0], 1, 1e-8) << item;
  }
  for (const char* item : {"0", "1"}) {
    const std::vector<double> z = numbers(std::string("in/Z") + item);
    const auto& shape = file.tensors.at(std::string("in/Z") + item).shape;
    const double eps = numbers(std::string("in/Zeps") + item)[0];
    EXPECT_NEAR(
        rate_of({z.data(), shape[0], shape[1], shape[1]}, eps * eps, false) / numbers(std::string("out/R") + item)[0],
        1, 1e-10);
  }
}

// A head's rows of U, each a standard direction; W = sign times the transpose.
TEST(Bases, OfPlantedSubspaces) {
  const int64_t heads = 2, p = 2, d = 5;
  std::vector<double> u(static_cast<std::size_t>(heads * p * d)), w(u.size());
  for (int64_t i = 0; i < heads * p; ++i) {
    u[i * d + i] = 1.0 + static_cast<double>(i);
    w[i * heads * p + i] = -(1.0 + static_cast<double>(i));
  }
  const Bases apart = measure_bases(u, &w, heads, d);
  EXPECT_EQ(apart.within, 0);
  EXPECT_EQ(apart.between, 0);
  EXPECT_EQ(apart.overlap_max, 0);
  EXPECT_DOUBLE_EQ(apart.overlap[0][0], 1);
  EXPECT_DOUBLE_EQ(*apart.cosine, -1);
  EXPECT_EQ(apart.spectrum[1], (std::vector<double>{4, 3}));
  EXPECT_EQ(apart.rank, (std::vector<int64_t>{2, 2}));
  // The second head repeats a direction of the first one: 0.6 of it in one of its directions.
  u[2 * d + 2] = 4;
  u[2 * d + 0] = 3;
  const Bases close = measure_bases(u, nullptr, heads, d);
  EXPECT_NEAR(close.overlap_max, 0.6, 1e-15);
  EXPECT_NEAR(close.between, 0.6 / 4, 1e-15);
  EXPECT_FALSE(close.cosine.has_value());
  EXPECT_NEAR(effective_rank({1, 1, 1, 0}), 3, 1e-12);
  EXPECT_EQ(rank_of({1, 1e-3, 1e-9}, 1e-6), 2);
}

// A model that listens twice: once through the tap, once keeping every value.
class Measured : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    init_noisily(model, 5);
    crate::Run run(device, {.tap = &tap});
    model.hidden(run, batch.tokens());
    crate::Run again(device, {.tap = &kept});
    model.hidden(again, batch.tokens());
  }
  const std::vector<double>& at(int64_t layer, const std::string& name) const {
    return kept.values.at(fmt::format("blocks.{}.{}", layer, name));
  }
  std::vector<double> weight(int64_t layer, const std::string& name) {
    return numbers_of(model.store().at(fmt::format("blocks.{}.{}", layer, name)).value);
  }

  const ModelConfig config = small_models()[GetParam()].config;
  const bool white = is_white_box(config.family);
  Device device{{.kind = DeviceKind::ref}};
  LanguageModel model{device, config};
  Batch batch{3, config.context, config.vocab, 4};
  MeasureTap tap{device, model.store(), config, 0.02};
  RecordingTap kept;
};

TEST_P(Measured, RatesAreThoseOfTheAuthorsHookAndOfTheStream) {
  const Measurement m = tap.result();
  EXPECT_EQ(m.samples, 3);
  EXPECT_EQ(m.tokens, 3 * config.context);
  const int64_t n = config.context, d = config.dim;
  for (int64_t i = 0; i < config.layers; ++i) {
    const LayerMeasure& layer = m.layers[static_cast<std::size_t>(i)];
    Spread rate;
    for (int64_t s = 0; s < 3; ++s) rate.add(rate_of({&at(i, "z_mid")[s * n * d], n, d, d}, 0.02, false));
    EXPECT_NEAR(layer.mid.rate.mean(), rate.mean(), 1e-10);
    EXPECT_NEAR(layer.mid.rate.deviation(), rate.deviation(), 1e-9);
    EXPECT_NEAR(layer.rate_c_step.mean(), layer.mid.rate_c_unit.mean() - layer.pre.rate_c_unit.mean(), 1e-10);
    EXPECT_LE(layer.pre.rate_c_unit.mean(), 0.5 * static_cast<double>(d) * std::log1p(1 / 0.02));  // the ceiling
    const std::vector<double>& code = at(i, white ? "ista.code" : "mlp.hidden");
    EXPECT_NEAR(layer.nonzero.mean(),
                static_cast<double>(std::count_if(code.begin(), code.end(), [](double c) { return c != 0; })) /
                    static_cast<double>(code.size()),
                1e-12);
    if (!white || config.trace) continue;  // coordinates with a trace are not U z, whose rate is measured
    Spread compressed;
    for (int64_t s = 0; s < 3; ++s)
      compressed.add(compressed_rate_of({&at(i, "mssa.coords")[s * n * d], n, d, d}, config.heads, 0.02, true));
    EXPECT_NEAR(layer.pre.rate_c_unit.mean(), compressed.mean(), 1e-10);
    EXPECT_NEAR(layer.pre.rate_c_unit.deviation(), compressed.deviation(), 1e-9);
  }
}

TEST_P(Measured, TheObjectiveIsThatOfTheCodingHalf) {
  const Measurement m = tap.result();
  for (int64_t i = 0; white && i < config.layers; ++i) {
    const LayerMeasure& layer = m.layers[static_cast<std::size_t>(i)];
    const std::vector<double>&v = at(i, "norm2.out"), &z = at(i, "ista.code"), dict = weight(i, "ista.dict");
    const std::vector<double> lambda = model.store().has(fmt::format("blocks.{}.ista.lambda", i))
                                           ? weight(i, "ista.lambda")
                                           : std::vector<double>{config.lambda_of(i)};
    const int64_t d = config.dim, atoms = config.n_atoms(), rows = 3 * config.context;
    const bool square = config.family == Family::crate_gpt;
    double before = 0, after = 0, fell = 0;
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<double> left(&v[row * d], &v[row * d] + d), start = left;
      double sparse = 0, sparse_start = 0;
      for (int64_t a = 0; a < atoms; ++a) {
        const double code = z[row * atoms + a], threshold = lambda[lambda.size() > 1 ? a : 0];
        sparse += threshold * std::abs(code);
        if (square) sparse_start += threshold * std::abs(v[row * d + a]);
        for (int64_t j = 0; j < d; ++j) {
          left[j] -= (square ? dict[j * d + a] : dict[a * d + j]) * code;
          if (square) start[j] -= dict[j * d + a] * v[row * d + a];
        }
      }
      const double first = 0.5 * std::pow(length(start.data(), d), 2) + sparse_start;
      const double last = 0.5 * std::pow(length(left.data(), d), 2) + sparse;
      before += first;
      after += last;
      fell += last < first ? 1 : 0;
    }
    EXPECT_NEAR(layer.objective_before->mean(), before / static_cast<double>(rows), 1e-9);
    EXPECT_NEAR(layer.objective_after->mean(), after / static_cast<double>(rows), 1e-9);
    EXPECT_NEAR(layer.objective_fell, fell / static_cast<double>(rows), 1e-12);
  }
  EXPECT_EQ(m.layers[0].objective_step.has_value(), white);
}

TEST_P(Measured, SpectraAreOfUnitCoordinates) {
  const Measurement m = tap.result();
  for (const LayerMeasure& layer : m.layers) {
    ASSERT_EQ(static_cast<int64_t>(layer.coords_spectrum.size()), config.heads);
    for (const std::vector<double>& values : layer.coords_spectrum) {
      double sum = 0;
      for (const double v : values) sum += v;
      EXPECT_NEAR(sum, 1, 1e-12);  // the trace: every row has length 1
      EXPECT_GE(values.back(), -1e-12);
    }
    EXPECT_LE(layer.coords_effective_rank[0], static_cast<double>(m.head_dim) + 1e-9);
    EXPECT_EQ(layer.bases.cosine.has_value(), white);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Measured, testing::Range<std::size_t>(0, small_models().size()), [](const auto& info) {
  std::string name = small_models()[info.param].name;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

class Measuring : public testing::Test {
 protected:
  Tokens text(int64_t n) const {
    std::vector<uint16_t> tokens(static_cast<std::size_t>(n));
    const Rng rng(8, Stream::test);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<uint16_t>(rng.below(23, 0, i));
    return Tokens::from_memory(tokens, "text");
  }
  Device device{{.kind = DeviceKind::cpu}};
};

TEST_F(Measuring, BatchesDoNotMatterAndTheReportsHoldWhatIsThere) {
  LanguageModel model(device, small_models()[0].config);
  init_noisily(model, 2);
  const int64_t n = model.config().context;
  const Measurement one = measure(model, text(7 * n), {.samples = 5, .batch = 1});
  const Measurement all = measure(model, text(7 * n), {.samples = 5, .batch = 4});
  EXPECT_EQ(one.samples, 5);
  EXPECT_EQ(measure(model, text(2 * n + 3), {}).samples, 2);
  for (std::size_t i = 0; i < one.layers.size(); ++i) {
    EXPECT_NEAR(one.layers[i].pre.rate_c_unit.mean() / all.layers[i].pre.rate_c_unit.mean(), 1, 1e-5);
    EXPECT_NEAR(one.layers[i].nonzero.deviation(), all.layers[i].nonzero.deviation(), 1e-6);
  }
  const nlohmann::json j = json_of(all);
  EXPECT_EQ(j["layers"].size(), all.layers.size());
  EXPECT_DOUBLE_EQ(j["layers"][1]["z_mid"]["rate_c_unit"]["mean"], all.layers[1].mid.rate_c_unit.mean());
  EXPECT_EQ(summary_of(all)["layer_nonzero"].size(), all.layers.size());
  const std::string svg = figure_of({one, all}, {"first", "second"});
  EXPECT_NE(svg.find("second"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_NE(message_of([&] { measure(model, text(n - 1), {}); }).find("text has"), std::string::npos);
}

TEST_F(Measuring, ImagesAsAnEvaluationSeesThem) {
  for (const Family family : {Family::crate, Family::crate_alpha, Family::vit, Family::crate_mae, Family::vit_mae}) {
    ModelConfig c = config_of(family);
    c.dim = 12;
    c.heads = 3;
    c.layers = 2;
    c.image.height = c.image.width = 16;
    c.image.patch = 4;
    c.image.classes = is_autoencoder(family) ? 0 : 8;
    const auto made = make_model(device, c);
    Model& model = *made;
    model.init(1);
    const auto scenes = open_images("synthetic:9,size=24", {.split = "val"});
    const Measurement m = measure(model, *scenes, {.samples = 6, .batch = 4, .resize = 20});
    EXPECT_EQ(m.samples, 6);
    EXPECT_EQ(m.tokens, 6 * 17);
    EXPECT_EQ(m.family, name_of(family));
    for (const LayerMeasure& layer : m.layers) {
      EXPECT_GT(layer.pre.rate_c_unit.mean(), 0);
      EXPECT_LE(layer.pre.rate_c_unit.mean(), 6 * std::log1p(100.0));
      EXPECT_GT(layer.nonzero.mean(), 0);
      EXPECT_EQ(layer.objective_step.has_value(), is_white_box(family));
    }
  }
}

TEST(Warnings, NameTheLayerThatWorksAgainstItsObjective) {
  Measurement m;
  m.layers.resize(2);
  for (LayerMeasure& layer : m.layers) layer.objective_before = layer.objective_after = layer.objective_step = Spread{};
  for (const double noise : {-0.1, 0.0, 0.1}) {
    m.layers[0].rate_c_step.add(-1 + noise);
    m.layers[1].rate_c_step.add(1 + noise);
    m.layers[0].objective_step->add(1 + noise);
    m.layers[1].objective_step->add(10 * noise);  // not clearly above 0
  }
  const std::vector<LayerWarning> found = warnings_of(m);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].step, "blocks.0: the coding step");
  EXPECT_TRUE(found[0].text.starts_with("blocks.0: the coding step raised its objective")) << found[0].text;
  EXPECT_TRUE(found[1].text.starts_with("blocks.1: the attention step raised R^c")) << found[1].text;
}

}  // namespace
}  // namespace crate
