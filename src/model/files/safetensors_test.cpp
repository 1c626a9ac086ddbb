#include "model/files/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace crate {
namespace {

std::vector<std::byte> file_of(const std::string& header, std::size_t data, uint64_t announced = ~uint64_t{0}) {
  const uint64_t length = announced == ~uint64_t{0} ? header.size() : announced;
  std::vector<std::byte> out(8 + header.size() + data);
  std::memcpy(out.data(), &length, 8);
  std::memcpy(out.data() + 8, header.data(), header.size());
  return out;
}

SafetensorsFile parse(const std::vector<std::byte>& bytes) {
  return parse_safetensors(bytes, nullptr, "test.safetensors");
}

TEST(Safetensors, RoundTrip) {
  const std::string path = testing::TempDir() + fmt::format("crate_round_{}.safetensors", getpid());
  const std::vector<float> a = {1.5F, -2.0F, 3.25F, 0.0F, 5.0F, 6.0F};
  const std::vector<int64_t> b = {7};
  write_safetensors(path,
                    {{"a", FileDtype::f32, {2, 3}, std::as_bytes(std::span(a))},
                     {"scalar", FileDtype::i64, {}, std::as_bytes(std::span(b))},
                     {"empty", FileDtype::bf16, {0, 4}, {}}},
                    {{"note", "of \"quotes\" and\nlines"}});
  const SafetensorsFile file = read_safetensors(path);
  EXPECT_EQ(file.tensors.at("a").to_f32(), a);
  EXPECT_EQ(file.tensors.at("a").shape_str(), "(2, 3)");
  EXPECT_EQ(file.tensors.at("scalar").to_i64(), b);
  EXPECT_EQ(file.tensors.at("empty").numel(), 0);
  EXPECT_EQ(file.metadata.at("note"), "of \"quotes\" and\nlines");
  EXPECT_THROW(file.tensors.at("a").to_i64(), Error);
  std::filesystem::remove(path);
}

TEST(Safetensors, WidensHalvesExactly) {
  const std::vector<uint16_t> half = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x7BFF, 0x0400, 0x83FF, 0xFC00},
                              brain = {0x3F80, 0xC040, 0x0000, 0x7F80};
  const auto bytes = std::as_bytes(std::span(half));
  const Array h = make_array(FileDtype::f16, {8}, {bytes.begin(), bytes.end()});
  EXPECT_EQ(h.to_f32(),
            (std::vector<float>{1.0F, -2.0F, 0x1p-24F, INFINITY, 65504.0F, 0x1p-14F, -1023 * 0x1p-24F, -INFINITY}));
  const auto brain_bytes = std::as_bytes(std::span(brain));
  EXPECT_EQ(make_array(FileDtype::bf16, {2, 2}, {brain_bytes.begin(), brain_bytes.end()}).to_f64(),
            (std::vector<double>{1.0, -3.0, 0.0, INFINITY}));
}

TEST(Safetensors, RefusesWhatDoesNotAddUp) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_NO_THROW(parse(file_of(good, 8)));
  const std::vector<std::pair<std::string, std::size_t>> bad = {
      {"not json", 0},
      {"[1]", 0},
      {good, 7},   // truncated data
      {good, 12},  // bytes nobody owns
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,0]}})", 0},
      {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       8},
      {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       8},
      {R"({"a":{"dtype":"U8","shape":[8]}})", 8},
      {R"({"__metadata__":{"x":1}})", 0},
      {R"({"a":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]})", 0},
  };
  for (const auto& [header, data] : bad) EXPECT_THROW(parse(file_of(header, data)), Error) << header << " " << data;
  EXPECT_THROW(parse(file_of(good, 8, 1 << 20)), Error);
  EXPECT_THROW(parse(file_of(good, 8, ~uint64_t{0} - 1)), Error);
  EXPECT_THROW(parse(std::vector<std::byte>(7)), Error);
}

}  // namespace
}  // namespace crate
