// Learning while coding: the decoder learns the same, on every instruction set that can and for every thread count.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/parallel.h"
#include "testing/folder.h"
#include "work/compress/archive.h"
#include "work/compress/integer_kernels.h"
#include "work/compress/quantized.h"

namespace crate {
namespace {

LearningOptions small() {
  return {.dim = 16, .heads = 2, .layers = 2, .context = 32, .streams = 3, .chunk = 32, .every = 96, .batch = 4};
}

std::string text(std::size_t n) {
  std::string out;
  for (int i = 0; out.size() < n; ++i) out += "line " + std::to_string(i * i % 97) + " of a text that repeats\n";
  return out.substr(0, n);
}

std::string noise(std::size_t n) {
  std::string out;
  uint32_t x = 1;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  return out;
}

std::string archive_of(const std::string& bytes, bool mix) {
  std::string out;
  compress_online(small(), {{"", source_of(bytes)}}, [&](std::string_view b) { out += b; },
                  {.mix = mix, .report = mix});
  return out;
}

std::string content_of(const std::string& archive) {
  std::string out;
  DecompressOptions options;
  options.open = [&](const std::string&) { return [&](std::string_view b) { out += b; }; };
  decompress(source_of(archive), options);
  return out;
}

// Two layers that were never trained: what they know is that they know nothing.
QuantizedModel prior(uint64_t seed) {
  Device device;
  ModelConfig c;
  choose_crate_one(c);
  c.dim = 16;
  c.heads = c.layers = 2;
  c.head_width = 8;
  c.atoms = 48;
  c.context = 32;
  c.vocab = 257;
  LanguageModel model(device, c);
  model.init(seed);
  return quantize(model, 8);
}

LearningOptions small_steps(const QuantizedModel& model) {
  LearningOptions options = learning_on(model);
  options.chunk = 32;
  options.every = 64;
  options.batch = 4;
  options.rate = 8000;
  return options;
}

std::string archive_of(const QuantizedModel& model, const std::string& bytes, CompressOptions options) {
  std::string out;
  compress(
      model, {{"", source_of(bytes)}}, [&](std::string_view b) { out += b; }, options);
  return out;
}

std::string content_of(const std::string& archive, const QuantizedModel& model) {
  std::string out;
  DecompressOptions options;
  options.model = [&] { return model; };
  options.open = [&](const std::string&) { return [&](std::string_view b) { out += b; }; };
  decompress(source_of(archive), options);
  return out;
}

bool can_learn() {
  try {
    archive_of("", false);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(Online, EveryContentComesBack) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  for (const bool mix : {false, true})
    for (const std::string& bytes : {std::string(), std::string("x"), text(33), noise(700), text(5000)})
      EXPECT_EQ(content_of(archive_of(bytes, mix)), bytes) << bytes.size();
}

TEST(Online, ItLearns) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  const std::string bytes = text(8000);
  EXPECT_LT(archive_of(bytes, false).size(), bytes.size() / 2);
  EXPECT_LT(archive_of(bytes, true).size(), bytes.size() / 6);
}

TEST(Online, AModelLearnsOn) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  const QuantizedModel model = prior(1), other = prior(2);
  const std::string bytes = text(3000);
  const std::size_t as_it_is = archive_of(model, bytes, {}).size();
  for (const bool mix : {false, true}) {
    for (const bool embed : {false, true}) {
      const std::string archive =
          archive_of(model, bytes, {.embed = embed, .mix = mix, .learning = small_steps(model)});
      EXPECT_EQ(embed ? content_of(archive) : content_of(archive, model), bytes);
      if (embed) continue;
      EXPECT_LT(archive.size(), as_it_is * 9 / 10);
      EXPECT_THROW(content_of(archive, other), Error);
      EXPECT_THROW(content_of(archive), Error);
    }
  }
}

TEST(Online, InstructionSetsAndThreadsReadEachOther) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  const int threads = omp_get_max_threads();
  const std::string bytes = text(4500), wanted = archive_of(bytes, true);
  for (const char* set : {"avx2", "vnni"}) {
    setenv("CRATE_ISA", set, 1);
    bool here = true;
    try {
      integer_kernels();
    } catch (const Error&) {
      here = false;  // not on this machine
    }
    for (const int count : {1, 3}) {
      set_thread_count(count);
      if (!here) continue;
      EXPECT_EQ(archive_of(bytes, true), wanted) << set << ' ' << count;
      EXPECT_EQ(content_of(wanted), bytes) << set << ' ' << count;
    }
  }
  unsetenv("CRATE_ISA");
  set_thread_count(threads);
}

TEST(Online, DamageIsRefused) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  const std::string archive = archive_of(text(600), true);
  for (std::size_t i = 0; i < archive.size(); i += 11) {
    std::string damaged = archive;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    EXPECT_THROW(content_of(damaged), Error) << i;
    EXPECT_THROW(content_of(archive.substr(0, i)), Error) << i;
  }
}

TEST(Online, AMachineThatLearnsOtherwiseIsRefused) {
  if (!can_learn()) GTEST_SKIP() << "this machine has no exact products";
  setenv("CRATE_ISA", "baseline", 1);
  EXPECT_THROW(archive_of("abc", false), Error);
  unsetenv("CRATE_ISA");
}

TEST(Learning, OptionsTravelAndAreChecked) {
  LearningOptions o = small();
  set_learning(o, "layers=3");
  EXPECT_EQ(pack_learning(unpack_learning(pack_learning(o), "x")), pack_learning(o));
  EXPECT_EQ(unpack_learning(pack_learning(o), "x").layers, 3);
  EXPECT_THROW(set_learning(o, "lairs=3"), Error);
  EXPECT_THROW(set_learning(o, "layers=three"), Error);
  EXPECT_THROW(unpack_learning(pack_learning(o) + "x", "x"), Error);
  o.chunk = o.context + 1;
  EXPECT_THROW(o.validate(), Error);
}

}  // namespace
}  // namespace crate
