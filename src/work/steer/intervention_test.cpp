// Interventions: how they are written, that they change what they name and nothing else, and that cached, uncached,
// batched and single runs give the same output.
#include "work/steer/intervention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/folder.h"
#include "testing/models.h"
#include "work/eval/evaluate.h"
#include "work/generate/generate.h"

namespace crate {
namespace {

TEST(Intervention, IsReadAsWritten) {
  const Intervention a = parse_intervention(Change::set, "blocks.3.ista.code:205,7-9@17=2.5");
  EXPECT_EQ(a.site, "blocks.3.ista.code");
  EXPECT_EQ(a.value, 2.5);
  ASSERT_EQ(a.atoms.size(), 2u);
  EXPECT_EQ(a.atoms[1].to, 9);
  ASSERT_EQ(a.positions.size(), 1u);
  EXPECT_EQ(a.positions[0].from, 17);
  EXPECT_EQ(to_text(a), "blocks.3.ista.code:205,7-9@17=2.5");
  EXPECT_EQ(to_text(parse_ablation("blocks.3.ista.code:17:205")), "blocks.3.ista.code:205@17=0");
  EXPECT_EQ(parse_intervention(Change::scale, "head.in:0=-1e-3").value, -1e-3);
}

TEST(Intervention, RefusesWhatItCannotRead) {
  for (const char* bad : {"", "blocks.0.ista.code", ":3", "head.in:x", "head.in:3-1", "head.in:1,", "head.in:-1",
                          "head.in:1@", "head.in:1:2@3", "head.in:1=2"})
    EXPECT_NE(message_of([&] { parse_ablation(bad); }), "no error") << bad;
  for (const char* bad : {"head.in:1", "head.in:1=", "head.in:1=two", "head.in:1=2x"})
    EXPECT_NE(message_of([&] { parse_intervention(Change::set, bad); }), "no error") << bad;
}

TEST(Intervention, KnowsTheSitesOfAModel) {
  for (const ModelCase& c : small_models()) {
    const bool white = is_white_box(c.config.family);
    EXPECT_EQ(site_width(c.config, white ? "blocks.1.ista.code" : "blocks.1.mlp.hidden"), c.config.n_atoms());
    EXPECT_EQ(site_width(c.config, white ? "blocks.0.mssa.coords" : "blocks.0.mha.coords"),
              white ? c.config.dim : 3 * c.config.dim);
    for (const char* bad : {"blocks.2.z_pre", "blocks.-1.z_pre", "blocks.1.mssa.pattern", "blocks.0.ista.pre",
                            "blocks.0.ista.code0", "head.logits", "blocks.x.z_pre", "blocks.0."})
      EXPECT_NE(message_of([&] { site_width(c.config, bad); }), "no error") << bad;
    EXPECT_NE(message_of([&] { InterventionTap({parse_ablation("head.in:15")}, c.config); }), "no error");
  }
}

// Every site that may be changed is offered to the tap, at the width that site_width tells.
TEST(Intervention, EverySiteIsReached) {
  class Widths final : public Tap {
   public:
    explicit Widths(const ModelConfig& config) : config_(config) {}
    bool wants(std::string_view) override { return true; }
    void see(std::string_view site, const Tensor& value) override {
      try {
        EXPECT_EQ(site_width(config_, site), value.cols()) << site;
        ++known;
      } catch (const Error&) {
      }
    }
    int known = 0;

   private:
    const ModelConfig& config_;
  };
  for (const ModelCase& c : small_models()) {
    Device device({.kind = DeviceKind::ref});
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    Batch batch(2, 5, c.config.vocab, 1);
    Widths tap(c.config);
    crate::Run run(device, {.tap = &tap});
    model.logits(run, batch.tokens());
    EXPECT_EQ(tap.known, 2 + 10 * 2) << c.name;
  }
}

std::vector<Intervention> some_changes(const ModelConfig& config) {
  const std::string code = is_white_box(config.family) ? "ista.code" : "mlp.hidden";
  return {parse_intervention(Change::add, "blocks.0." + code + ":3=1.5"),
          parse_intervention(Change::set, "blocks.1." + code + ":2,5-6@1-3,7=0.75"),
          parse_intervention(Change::scale, "blocks.1.norm1.out:4=-2"),
          parse_intervention(Change::add, "embed.out:1@2=0.5")};
}

std::vector<double> values_of(const Tensor& t) {
  std::vector<double> out;
  for (int64_t i = 0; i < t.numel(); ++i) out.push_back(t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]);
  return out;
}

TEST(Intervention, CachedUncachedBatchedAndSingleRunsAgree) {
  for (const ModelCase& c : small_models()) {
    for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
      Device device({.kind = kind});
      LanguageModel model(device, c.config);
      init_noisily(model, 3);
      const int64_t n = 9, vocab = c.config.vocab;
      Batch batch(3, n, vocab, 1);
      InterventionTap tap(some_changes(c.config), c.config);
      crate::Run together(device, {.tap = &tap}), plain(device);
      const auto all = values_of(model.logits(together, batch.tokens()));
      const auto unchanged = values_of(model.logits(plain, batch.tokens()));
      double difference = 0;
      for (std::size_t i = 0; i < all.size(); ++i) difference = std::max(difference, std::abs(all[i] - unchanged[i]));
      EXPECT_GT(difference, 1e-3) << c.name;
      const double close = kind == DeviceKind::ref ? 1e-12 : 1e-4;
      for (int64_t row = 0; row < 3; ++row) {
        DecodeState state(device, c.config, 1);
        for (const auto& [lo, hi] : {std::pair<int64_t, int64_t>{0, 4}, {4, 5}, {5, n}}) {
          const Tensor tokens{batch.tokens().as<int32_t>() + row * n + lo, {1, hi - lo}, Dtype::i32};
          crate::Run piece(device, {.tap = &tap});
          tap.begin_at(lo);
          const auto some = values_of(model.logits(piece, tokens, &state));
          for (std::size_t i = 0; i < some.size(); ++i)
            EXPECT_NEAR(some[i], all[static_cast<std::size_t>((row * n + lo) * vocab) + i], close) << c.name;
        }
      }
    }
  }
}

TEST(Intervention, GenerationIsTheSameWithAndWithoutACacheAlsoPastTheContext) {
  for (const ModelCase& c : small_models()) {
    Device device;
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    GenerateOptions how{.tokens = 30, .temperature = 1.0, .seed = 9};
    const auto run = [&] {
      return continue_tokens(model, {7, 2, 4}, how, c.config.vocab, [](int32_t) { return true; });
    };
    const auto plain = run();
    how.changes = some_changes(c.config);
    how.changes[1].positions = {{1, 3}, {14, 20}};
    const auto cached = run();
    EXPECT_NE(cached, plain) << c.name;
    how.cache = false;
    EXPECT_EQ(run(), cached) << c.name;
  }
}

TEST(Intervention, EvaluationDoesNotDependOnTheBatch) {
  ModelConfig config;
  config.dim = 16;
  config.heads = 2;
  config.layers = 2;
  config.context = 8;
  Device device;
  LanguageModel model(device, config);
  model.init(1);
  std::vector<uint16_t> tokens;
  for (int i = 0; i < 50; ++i) tokens.push_back(static_cast<uint16_t>(i * 31 % 257));
  const Tokens text = Tokens::from_memory(tokens, "text");
  const auto bytes = byte_tokenizer();
  EvalOptions how{.batch = 1};
  const double plain = evaluate(model, *bytes, text, how).loss;
  how.changes = {parse_intervention(Change::add, "blocks.1.ista.code:3@5=4")};
  const EvalResult one = evaluate(model, *bytes, text, how);
  how.batch = 7;
  const EvalResult many = evaluate(model, *bytes, text, how);
  EXPECT_NEAR(one.loss, many.loss, 1e-6);
  EXPECT_EQ(one.code_nonzero, many.code_nonzero);
  EXPECT_GT(std::abs(one.loss - plain), 1e-5);
}

}  // namespace
}  // namespace crate
