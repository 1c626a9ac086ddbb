// Ten thousand generated files come back from their archives: of every length from nothing to some hundred bytes, of
// every number of symbols, in runs, in repeats and in noise, under every way of coding with a model.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "testing/models.h"
#include "work/compress/archive.h"

namespace crate {
namespace {

class Generator {
 public:
  explicit Generator(uint64_t file) : file_(file) {}

  std::string content() {
    const uint64_t kind = below(5), symbols = uint64_t{1} << below(9), first = below(256);
    const std::size_t length = below(uint64_t{1} << below(11));
    std::string out;
    while (out.size() < length) {
      const auto symbol = static_cast<char>(first + below(symbols));
      if (kind == 0 && out.size() > 4)
        out += out.substr(below(out.size()), 1 + below(20));
      else
        out.append(kind == 1 ? 1 + below(40) : 1, symbol);
    }
    out.resize(length);
    return out;
  }

  uint64_t below(uint64_t n) { return rng_.below(n, file_, drawn_++); }

 private:
  Rng rng_{11, Stream::test};
  uint64_t file_, drawn_ = 0;
};

QuantizedModel model_of(Family family) {
  Device device;
  ModelConfig c;
  c.family = family;
  c.dim = 8;
  c.heads = 2;
  c.layers = 1;
  c.vocab = 257;
  c.context = 16;
  c.rotary = c.qk_norm = true;
  c.learned_positions = false;
  LanguageModel model(device, c);
  init_noisily(model, 5);
  return quantize(model, 8);
}

std::string there_and_back(const QuantizedModel& model, const std::string& content, const CompressOptions& options) {
  std::string archive, out;
  compress(
      model, {{"", source_of(content)}}, [&](std::string_view b) { archive += b; }, options);
  DecompressOptions reading;
  reading.model = [&] { return model; };
  reading.open = [&](const std::string&) { return [&](std::string_view b) { out += b; }; };
  decompress(source_of(archive), reading);
  EXPECT_LE(options.embed ? 0 : archive.size(), content.size() + content.size() / 1000 + 64);
  return out;
}

TEST(GeneratedFiles, TenThousandComeBack) {
  const QuantizedModel models[] = {model_of(Family::crate_lm), model_of(Family::gpt2)};
  for (uint64_t file = 0; file < 10000; ++file) {
    Generator draw(file);
    const std::string content = draw.content();
    const CompressOptions options{.embed = file % 50 == 0,
                                  .streams = static_cast<int64_t>(draw.below(4)),
                                  .reach = static_cast<int64_t>(draw.below(17)),
                                  .mix = file % 500 == 1};
    ASSERT_EQ(there_and_back(models[file % 2], content, options), content) << "file " << file;
  }
}

}  // namespace
}  // namespace crate
