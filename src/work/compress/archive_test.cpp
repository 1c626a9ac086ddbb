// Archives: every content comes back, damage is refused, nothing depends on the instruction set or the threads.
#include "work/compress/archive.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/parallel.h"
#include "base/rng.h"
#include "testing/folder.h"
#include "testing/models.h"
#include "work/compress/coder.h"
#include "work/compress/integer_kernels.h"
#include "work/compress/packed_model.h"
#include "work/compress/stream_coder.h"

namespace crate {
namespace {

QuantizedModel small_model(Family family = Family::crate_lm, uint64_t seed = 3) {
  Device device;
  ModelConfig c;
  c.family = family;
  c.dim = 12;
  c.heads = c.layers = 2;
  c.vocab = 257;
  c.context = 24;
  c.rotary = c.qk_norm = c.shift = c.exclusive = true;
  c.learned_positions = false;
  LanguageModel model(device, c);
  init_noisily(model, seed);
  // Logits large enough to prefer some bytes.
  Param& tokens = model.store().at("embed.tokens");
  for (int64_t i = 0; i < tokens.value.numel(); ++i) tokens.value.as<float>()[i] *= 8;
  return quantize(model, 8);
}

std::string archive_of(const QuantizedModel& model, const std::string& bytes, CompressOptions options = {}) {
  std::string out;
  compress(
      model, {{"", source_of(bytes)}}, [&](std::string_view b) { out += b; }, options);
  return out;
}

std::string content_of(const std::string& archive, const QuantizedModel* model) {
  std::string out;
  DecompressOptions options;
  if (model) options.model = [model] { return *model; };
  options.open = [&](const std::string&) { return [&](std::string_view b) { out += b; }; };
  decompress(source_of(archive), options);
  return out;
}

std::string text(std::size_t n) {
  std::string out;
  for (int i = 0; out.size() < n; ++i) out += "line " + std::to_string(i * i) + " of a text\n";
  return out.substr(0, n);
}

std::string noise(std::size_t n, uint64_t seed);

// What the model would say: any bits decode to something that it predicts well.
std::string said_by(const QuantizedModel& model, std::size_t n) {
  const IntegerModel integer(model, 12);
  return StreamCoder{integer, integer_kernels()}.decode({noise(n, 9)}, static_cast<int64_t>(n));
}

std::string noise(std::size_t n, uint64_t seed) {
  const Rng rng(seed, Stream::test);
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<char>(rng.bits(1, i)));
  return out;
}

TEST(Archive, EveryContentComesBack) {
  const QuantizedModel model = small_model();
  for (const std::size_t n : {0, 1, 2, 23, 24, 25, 36, 37, 300, 2000})
    for (const std::string& bytes :
         {text(n), said_by(model, n), noise(n, n), std::string(n, '\0'), std::string(n, '\xff')})
      EXPECT_EQ(content_of(archive_of(model, bytes), &model), bytes) << n;
}

TEST(Archive, EveryFamilyAndEveryWindowComesBack) {
  for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu}) {
    const QuantizedModel model = small_model(family);
    for (const int64_t reach : {1, 7, 24})
      for (const std::string& content : {text(200), said_by(model, 200)})
        EXPECT_EQ(content_of(archive_of(model, content, {.streams = 3, .reach = reach}), &model), content);
  }
}

TEST(Archive, WhatStreamsCostIsTold) {
  const QuantizedModel model = small_model();
  const std::string content = said_by(model, 3000);
  const auto told = [&](int64_t streams) {
    return compress(model, {{"", source_of(content)}}, [](std::string_view) {}, {.streams = streams});
  };
  const CompressResult one = told(1), many = told(20);
  EXPECT_EQ(one.streams, 1);
  EXPECT_EQ(one.cuts, 0);
  EXPECT_EQ(many.streams, 20);
  // Every code ends in a byte begun, and its size is told in one or two.
  const double more = 8.0 * static_cast<double>(many.archive - one.archive);
  EXPECT_GT(many.cuts, 0);
  EXPECT_NEAR(more - 19 * 12, many.cuts, 19 * 12);
}

TEST(Archive, NoiseGrowsByNoMoreThanPromised) {
  const QuantizedModel model = small_model();
  for (const std::size_t n : {0, 1, 100, 5000})
    EXPECT_LE(archive_of(model, noise(n, 7)).size(), n + n / 1000 + 64) << n;
}

TEST(Archive, TheModelMayBeInside) {
  const QuantizedModel model = small_model();
  const std::string content = said_by(model, 500);
  EXPECT_EQ(content_of(archive_of(model, content, {.embed = true}), nullptr), content);
}

TEST(Archive, InstructionSetsAndThreadsReadEachOther) {
  const QuantizedModel model = small_model();
  const std::string content = said_by(model, 700);
  const int threads = omp_get_max_threads();
  const auto with = [&](const char* set, int count, auto&& f) {
    setenv("CRATE_ISA", set, 1);
    set_thread_count(count);
    try {
      integer_kernels();
      f();
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("does not have it"), std::string::npos) << e.what();
    }
    unsetenv("CRATE_ISA");
  };
  for (const bool mix : {false, true}) {
    const CompressOptions coding{.streams = mix ? 2 : 4, .mix = mix};
    std::vector<std::string> made;
    for (const char* set : {"baseline", "avx2", "vnni"})
      for (const int count : {1, 3}) with(set, count, [&] { made.push_back(archive_of(model, content, coding)); });
    for (const std::string& archive : made) EXPECT_EQ(archive, made[0]);
    for (const char* set : {"baseline", "avx2", "vnni"})
      for (const int count : {1, 3}) with(set, count, [&] { EXPECT_EQ(content_of(made[0], &model), content); });
  }
  set_thread_count(threads);
  setenv("CRATE_ISA", "riscv", 1);
  EXPECT_THROW(integer_kernels(), Error);
  unsetenv("CRATE_ISA");
}

TEST(Archive, DamageIsRefused) {
  const QuantizedModel model = small_model(), other = small_model(Family::crate_lm, 4);
  const std::string content = said_by(model, 300), archive = archive_of(model, content);
  EXPECT_LT(archive.size(), content.size());
  EXPECT_EQ(content_of(archive, &model), content);
  EXPECT_NE(message_of([&] { content_of(archive, &other); }).find("another model"), std::string::npos);
  EXPECT_NE(message_of([&] { content_of(archive, nullptr); }).find("give --model"), std::string::npos);
  for (std::size_t n = 0; n < archive.size(); n += 3)
    EXPECT_THROW(content_of(archive.substr(0, n), &model), Error) << n;
  EXPECT_THROW(content_of(archive + "x", &model), Error);
  for (std::size_t i = 0; i < archive.size(); ++i) {
    std::string damaged = archive;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    EXPECT_THROW(content_of(damaged, &model), Error) << i;
  }
}

TEST(Archive, ANameCannotLeadElsewhere) {
  const QuantizedModel model = small_model();
  for (const char* name : {"../x", "/etc/x", "..", "a/b"}) {
    std::string out;
    compress(model, {{name, source_of("x")}}, [&](std::string_view b) { out += b; });
    EXPECT_NE(message_of([&] { content_of(out, &model); }).find("refused"), std::string::npos) << name;
  }
}

TEST(Archive, HoldsSeveralFiles) {
  const QuantizedModel model = small_model();
  std::string out;
  compress(model, {{"a", source_of(text(50))}, {"b", source_of("")}, {"c", source_of(noise(30, 1))}},
           [&](std::string_view b) { out += b; });
  std::vector<std::pair<std::string, std::string>> files;
  DecompressOptions options;
  options.model = [&] { return model; };
  options.open = [&](const std::string& name) {
    files.emplace_back(name, "");
    return [&](std::string_view b) { files.back().second += b; };
  };
  decompress(source_of(out), options);
  const std::vector<std::pair<std::string, std::string>> wanted{{"a", text(50)}, {"b", ""}, {"c", noise(30, 1)}};
  EXPECT_EQ(files, wanted);
}

TEST(PackedModel, ComesBackAndRefusesDamage) {
  for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2}) {
    const std::string packed = pack_model(small_model(family));
    EXPECT_EQ(pack_model(unpack_model(packed, "m")), packed);
    EXPECT_THROW(unpack_model(packed.substr(0, packed.size() / 2), "m"), Error);
    EXPECT_THROW(unpack_model("CRQ2" + packed.substr(4), "m"), Error);
    QuantizedModel below = unpack_model(packed, "m");  // no rounding gives -128, and signed products could not take it
    below.matrices.begin()->second.values[0] = -128;
    EXPECT_THROW(unpack_model(pack_model(below), "m"), Error);
  }
}

TEST(Coder, CostsWhatTheProbabilitiesSay) {
  const Rng rng(1, Stream::test);
  std::string out;
  BitEncoder encoder(out);
  double bits = 0;
  std::vector<bool> put;
  for (uint64_t i = 0; i < 20000; ++i) {
    const double p = rng.uniform(2, i);
    const auto one = static_cast<Chance>(p * 4294967295.0) | 1U;
    put.push_back(rng.uniform(3, i) < p);
    encoder.put(put.back(), one);
    bits -= std::log2(put.back() ? one / 4294967296.0 : 1 - one / 4294967296.0);
  }
  encoder.finish();
  EXPECT_NEAR(static_cast<double>(out.size()), bits / 8, 4);
  BitDecoder decoder(out);
  for (uint64_t i = 0; i < 20000; ++i)
    EXPECT_EQ(decoder.get(static_cast<Chance>(rng.uniform(2, i) * 4294967295.0) | 1U), put[i]);
  EXPECT_FALSE(decoder.overrun());
}

}  // namespace
}  // namespace crate
