#include "model/files/pytorch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "model/files/weights.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

const std::string own = CRATE_SOURCE_DIR "/fixtures/";
const std::string shared = CRATE_SOURCE_DIR "/../shared/fixtures/";

std::string error_of(const std::string& path) {
  try {
    load_weights(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

void expect_same(const Array& a, const Array& b, const std::string& what) {
  EXPECT_EQ(a.shape, b.shape) << what;
  EXPECT_EQ(a.dtype, b.dtype) << what;
  EXPECT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end())) << what;
}

/// The tensors that fixtures/make_fixtures.py describes: w[i,j] = (5 i + j) / 8 - 1.
void expect_own_tensors(const ArrayMap& t, FileDtype dtype) {
  const auto w = [](int i, int j) { return (5 * i + j) / 8.0 - 1; };
  std::vector<double> plain, transposed, stepped, expanded, bias;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 5; ++j) plain.push_back(w(i, j));
  }
  for (int j = 0; j < 5; ++j) {
    for (int i = 0; i < 4; ++i) transposed.push_back(w(i, j));
  }
  for (int i = 1; i < 4; i += 2) {
    for (int j = 0; j < 5; j += 2) stepped.push_back(w(i, j));
  }
  for (int j = 0; j < 5; ++j) bias.push_back(w(0, j));
  for (int i = 0; i < 3; ++i) expanded.insert(expanded.end(), bias.begin(), bias.end());
  EXPECT_EQ(t.size(), 9u);
  EXPECT_EQ(t.at("blocks.0.w").dtype, dtype);
  EXPECT_EQ(t.at("blocks.0.w").to_f64(), plain);
  EXPECT_EQ(t.at("blocks.0.w").shape_str(), "(4, 5)");
  EXPECT_EQ(t.at("blocks.0.transposed").to_f64(), transposed);
  EXPECT_EQ(t.at("blocks.0.transposed").shape_str(), "(5, 4)");
  EXPECT_EQ(t.at("blocks.0.stepped").to_f64(), stepped);
  EXPECT_EQ(t.at("blocks.0.expanded").to_f64(), expanded);
  EXPECT_EQ(t.at("head.tied").bytes.data(), t.at("blocks.0.w").bytes.data());
  EXPECT_EQ(t.at("bias").to_f64(), bias);
  EXPECT_EQ(t.at("steps").to_i64(), (std::vector<int64_t>{0, 3, 6, 9, 12, 15}));
  EXPECT_EQ(t.at("scalar").shape_str(), "()");
  EXPECT_EQ(t.at("scalar").to_f64(), std::vector<double>{2.5});
  EXPECT_EQ(t.at("empty").shape_str(), "(0, 3)");
}

TEST(Pytorch, ReadsBothFormatsAndEveryProtocol) {
  for (const char* name : {"good_zip.pth", "good_legacy.pth", "good_protocol3.pth", "good_protocol4.pth",
                           "good_protocol5.pth", "good_training.pt"}) {
    SCOPED_TRACE(name);
    expect_own_tensors(load_weights(own + name).tensors, FileDtype::f32);
  }
  expect_own_tensors(load_weights(own + "good_half.pth").tensors, FileDtype::f16);
  const auto bf16 = load_weights(own + "good_bf16.safetensors");
  EXPECT_EQ(bf16.tensors.at("scalar").to_f32(), std::vector<float>{2.5F});
  EXPECT_EQ(bf16.plain, R"({"note":"bfloat16"})");
}

TEST(Pytorch, GivesThePlainPartAsJson) {
  const auto plain = nlohmann::json::parse(read_pytorch(own + "good_training.pt").plain);
  EXPECT_EQ(plain["model_args"]["n_embd"], 5);
  EXPECT_EQ(plain["model_args"]["bias"], false);
  EXPECT_EQ(plain["model_args"]["name"], "klein, \u00e4\u00f6\u00fc");
  EXPECT_EQ(plain["iter_num"], 7);
  EXPECT_EQ(plain["best_val_loss"], 1.25);
  EXPECT_EQ(plain["optimizer"]["param_groups"][0]["lr"], 0.5);
  EXPECT_FALSE(plain["optimizer"]["state"]["0"].contains("step"));
}

TEST(Pytorch, KeepsPrefixesWhenAsked) {
  const PytorchFile file = read_pytorch(own + "good_training.pt", {.dropped_prefixes = {}});
  EXPECT_TRUE(file.tensors.contains("_orig_mod.module.bias"));
}

TEST(Pytorch, RefusesAndSaysWhy) {
  EXPECT_NE(error_of(own + "malicious_zip.pth").find("posix.system"), std::string::npos);
  EXPECT_NE(error_of(own + "malicious_legacy.pth").find("posix.system"), std::string::npos);
  EXPECT_NE(error_of(own + "truncated_zip.pth").find("truncated"), std::string::npos);
  EXPECT_NE(error_of(own + "truncated_legacy.pth").find("truncated"), std::string::npos);
  EXPECT_NE(error_of(own + "compressed_zip.pth").find("compressed"), std::string::npos);
  EXPECT_NE(error_of(own + "big_endian.pth").find("big-endian"), std::string::npos);
  EXPECT_NE(error_of(own + "make_fixtures.py").find("neither"), std::string::npos);
  for (const char* name : {"malicious_zip.pth", "truncated_legacy.pth"}) {
    EXPECT_EQ(error_of(own + name).find(own + name), 0U) << "an error begins with the file's name";
  }
  EXPECT_FALSE(fs::exists("CHECKPOINT_CODE_WAS_RUN"));
}

/// Every byte of a small file changed, and every length cut: an Error or a result, never anything else. The checksums
/// of a zip find every change of its data.
TEST(Pytorch, SurvivesEveryDamage) {
  for (const char* name : {"good_zip.pth", "good_legacy.pth", "good_protocol4.pth"}) {
    const std::string good = read_text_file(own + name);
    int refused = 0;
    const auto attempt = [&](const std::string& bytes) {
      try {
        parse_weights(std::as_bytes(std::span(bytes)), nullptr, "damaged.pth");
      } catch (const Error&) {
        ++refused;
      }
    };
    for (std::size_t n = 0; n < good.size(); ++n) attempt(good.substr(0, n));
    EXPECT_EQ(refused, static_cast<int>(good.size())) << name << ": a cut file was read";
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const unsigned char flip : {0x01, 0x80, 0xFF}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ flip);
        attempt(bad);
      }
    }
  }
}

TEST(Pytorch, WritesWhatItReads) {
  const Weights from = load_weights(own + "good_half.pth");
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, a] : from.tensors) tensors.push_back({name, a.dtype, a.shape, a.bytes});
  const std::string path = testing::TempDir() + "crate_written.pth";
  write_pytorch(path, tensors);
  const Weights back = load_weights(path);
  expect_own_tensors(back.tensors, FileDtype::f16);
  for (const auto& [name, a] : from.tensors) {
    const Array& b = back.tensors.at(name);
    expect_same(a, b, name);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.bytes.data()) % 64, 0U) << name << ": not aligned in the file";
  }
  EXPECT_THROW(write_pytorch(path, {{"x", FileDtype::u16, {0}, {}}}), Error);
  EXPECT_THROW(write_pytorch(path, {{"x", FileDtype::f32, {1}, {}}}), Error);
  EXPECT_EQ(load_weights(path).tensors.size(), 9u) << "a refused write left the file alone";
  fs::remove(path);
}

TEST(Pytorch, PyTorchReadsWhatIsWritten) {
  const std::string python = "/usr/bin/python3", quiet = " >/dev/null 2>&1";
  if (std::system((python + " -c 'import torch, numpy'" + quiet).c_str()) != 0) GTEST_SKIP() << "no PyTorch here";
  const Weights from = load_weights(own + "good_zip.pth");
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, a] : from.tensors) tensors.push_back({name, a.dtype, a.shape, a.bytes});
  const std::string path = testing::TempDir() + "crate_for_torch.pth";
  write_pytorch(path, tensors);
  const std::string script =
      "import torch, zipfile, collections, sys\n"
      "ours, good = torch.load(sys.argv[1]), torch.load(sys.argv[2])\n"
      "assert type(ours) is collections.OrderedDict and set(ours) == set(good)\n"
      "assert all(ours[k].dtype == good[k].dtype and ours[k].shape == good[k].shape for k in good)\n"
      "assert all(torch.equal(ours[k], good[k]) for k in good)\n"
      "assert ours['head.tied'].data_ptr() == ours['blocks.0.w'].data_ptr()\n"
      "assert zipfile.ZipFile(sys.argv[1]).testzip() is None\n";
  const std::string file = testing::TempDir() + "crate_for_torch.py";
  write_atomically(file, std::string_view(script));
  EXPECT_EQ(std::system((python + " " + file + " " + path + " " + own + "good_zip.pth").c_str()), 0);
  fs::remove(path);
  fs::remove(file);
}

// The larger set of checkpoints, when it lies beside the project.

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {  // so that NaN equals NaN
  const auto x = std::as_bytes(std::span(a)), y = std::as_bytes(std::span(b));
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

TEST(SharedCheckpoints, HoldTheExpectedValues) {
  if (!fs::exists(shared)) GTEST_SKIP() << "no " << shared;
  const std::vector<std::pair<const char*, const char*>> all = {
      {"crate_vision_zip.pth.tar", "crate_vision_s.safetensors"},
      {"crate_vision_legacy.pth.tar", "crate_vision_s.safetensors"},
      {"crate_vision_torch2_entries.pth", "crate_vision_s.safetensors"},
      {"crate_lm_plain.pth", "crate_lm_s.safetensors"},
      {"crate_gpt_with_masks.pth", "crate_gpt_s.safetensors"},
      {"crate_vision_half.pth", "checkpoints/crate_vision_half.expected.safetensors"},
      {"crate_vision_half_legacy.pth", "checkpoints/crate_vision_half.expected.safetensors"},
      {"crate_vision_bfloat16.pth", "checkpoints/crate_vision_bfloat16.expected.safetensors"},
      {"crate_lm_training.pt", "checkpoints/crate_lm_training.expected.safetensors"},
      {"layouts.pth", "checkpoints/layouts.expected.safetensors"},
      {"layouts_legacy.pth", "checkpoints/layouts.expected.safetensors"}};
  const std::string prefix = "param/";
  for (const auto& [file, values] : all) {
    const Weights got = load_weights(shared + "checkpoints/" + file);
    std::size_t compared = 0;
    for (const auto& [name, expected] : read_safetensors(shared + values).tensors) {
      if (!name.starts_with(prefix)) continue;
      const std::string key = name.substr(prefix.size());
      ASSERT_TRUE(got.tensors.contains(key)) << file << " " << key;
      const Array& ours = got.tensors.at(key);
      EXPECT_EQ(ours.shape, expected.shape) << file << " " << key;
      EXPECT_TRUE(same_bits(ours.to_f32(), expected.to_f32())) << file << " " << key;
      if (ours.dtype == expected.dtype) expect_same(ours, expected, key);
      ++compared;
    }
    EXPECT_GE(compared, 17u) << file;
  }
}

TEST(SharedCheckpoints, RefusesEveryBadOne) {
  if (!fs::exists(shared)) GTEST_SKIP() << "no " << shared;
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(shared + "checkpoints/refuse")) {
    const std::string message = error_of(entry.path());
    EXPECT_EQ(message.find(entry.path().string()), 0U) << entry.path() << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    ++refused;
  }
  EXPECT_GE(refused, 24);
  EXPECT_FALSE(fs::exists("CHECKPOINT_CODE_WAS_RUN"));
}

TEST(SharedCheckpoints, OddButLegal) {
  if (!fs::exists(shared)) GTEST_SKIP() << "no " << shared;
  const Weights file = load_weights(shared + "checkpoints/non_ascii_key.pth");
  ASSERT_EQ(file.tensors.size(), 1u);
  const std::string name = file.tensors.begin()->first;
  EXPECT_TRUE(std::any_of(name.begin(), name.end(), [](char c) { return (c & 0x80) != 0; })) << name;
  EXPECT_NE(error_of(shared + "checkpoints/odd_containers.pth").find("no dict of tensors"), std::string::npos);
}

}  // namespace
}  // namespace crate
