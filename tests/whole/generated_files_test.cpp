// Ten thousand generated files through the codec: runs, cycles, counters, words, noise and mixtures of them, each coded
// and decoded; with the model apart or inside, mixed or not, in one stream or several.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "testing/models.h"
#include "work/compress/archive.h"

namespace crate {
namespace {

constexpr int64_t files = 10000;

QuantizedModel little_model() {
  Device device;
  ModelConfig c;
  choose_crate_one(c);
  c.dim = 8;
  c.heads = 1;
  c.layers = 1;
  c.head_width = 8;
  c.atoms = 16;
  c.context = 16;
  c.vocab = 257;
  LanguageModel model(device, c);
  init_noisily(model, 1);
  return quantize(model, 8);
}

// Numbers of file `index`, drawn one after the other.
class Draw {
 public:
  explicit Draw(int64_t index) : index_(static_cast<uint64_t>(index)) {}
  uint64_t below(uint64_t n) { return rng_.below(n, index_, place_++); }

 private:
  Rng rng_{7, Stream::test};
  uint64_t index_, place_ = 0;
};

std::string piece(Draw& draw) {
  const std::size_t n = draw.below(60);
  const uint64_t kind = draw.below(5), start = draw.below(256), step = draw.below(256), cycle = 1 + draw.below(9);
  constexpr std::string_view words = "the of and to in a is that for it as was with be by on not he ";
  std::string out;
  for (std::size_t i = 0; i < n; ++i) {
    switch (kind) {
      case 0:
        out.push_back(static_cast<char>(start));
        break;
      case 1:
        out.push_back(static_cast<char>(start + step * (i % cycle)));
        break;
      case 2:
        out.push_back(static_cast<char>(start + step * i));
        break;
      case 3:
        out.push_back(words[(start + i) % words.size()]);
        break;
      default:
        out.push_back(static_cast<char>(draw.below(256)));
    }
  }
  return out;
}

std::string file_of(int64_t index) {
  Draw draw(index);
  std::string out;
  for (uint64_t pieces = draw.below(4); pieces > 0; --pieces) out += piece(draw);
  return out;
}

CompressOptions options_of(int64_t index) {
  CompressOptions o;
  // Statistics take 180 MB: a mixed file now and then.
  o.mix = index % 500 == 7;
  o.embed = index % 5 == 1;
  o.streams = index % 3;
  o.hop = 1 + index % 16;
  return o;
}

std::string back(const std::string& archive, const QuantizedModel& model) {
  std::string out;
  DecompressOptions options;
  options.model = [&] { return model; };
  options.open = [&](const std::string&) { return [&](std::string_view b) { out += b; }; };
  decompress(source_of(archive), options);
  return out;
}

TEST(GeneratedFiles, AllComeBackAndNoneGrowsByMoreThanPromised) {
  const QuantizedModel model = little_model();
  std::vector<int64_t> wrong;
  for (int64_t index = 0; index < files; ++index) {
    const std::string bytes = file_of(index);
    std::string archive;
    const CompressOptions options = options_of(index);
    const CompressResult r = compress(
        model, {{"", source_of(bytes)}}, [&](std::string_view b) { archive += b; }, options);
    const int64_t inside = options.embed ? r.model + 8 : 0;
    const bool small = r.archive <= r.raw * 1001 / 1000 + 64 + inside;
    if (back(archive, model) != bytes || !small) wrong.push_back(index);
  }
  EXPECT_EQ(wrong, std::vector<int64_t>{});
}

}  // namespace
}  // namespace crate
