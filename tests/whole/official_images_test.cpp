// The authors' models of images through the commands: import, forward with gradients under their names, export, import.
#include <gtest/gtest.h>

#include <filesystem>

#include "testing/reference.h"
#include "tests/whole/process.h"

namespace crate::whole {
namespace {

const std::string fixtures = CRATE_SOURCE_DIR "/../shared/fixtures/";

void succeeds(const std::vector<std::string>& args) {
  const Outcome o = run_crate(args);
  ASSERT_EQ(o.code, 0) << args.front() << ": " << o.err;
}

class OfficialImages : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(OfficialImages, GoThroughTheCommands) {
  const auto [name, family] = GetParam();
  const std::string source = fixtures + name + ".safetensors";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
  const Folder folder;
  const std::string model = folder.at("model"), out = folder.at("out.safetensors");
  succeeds({"import", source, "--family", family, "-o", model});
  succeeds({"forward", model, "--in", source, "--out", out, "--grad", "--official-names", "--device", "ref"});
  const ArrayMap expected = read_safetensors(source).tensors, came = read_safetensors(out).tensors;
  std::size_t compared = 0;
  for (const auto& [key, array] : came) {
    const std::string theirs = key.starts_with("grad") ? key : "out/" + key;
    const auto it = expected.find(theirs);
    if (it == expected.end()) continue;  // the mask and pictures of auto-encoders
    EXPECT_EQ(array.shape, it->second.shape) << key;
    EXPECT_LT(relative_error(array.to_f64(), it->second.to_f64()), 1e-10) << key;
    ++compared;
  }
  std::size_t wanted = 0;
  for (const auto& [key, array] : expected) wanted += key.starts_with("grad/") || key == "grad_in/images";
  EXPECT_GE(compared, wanted + 2);

  for (const char* exported : {"again.pth", "again.safetensors"}) {
    const std::string file = folder.at(exported), back = folder.at(std::string(exported) + ".model");
    succeeds({"export", model, "--as", family, "-o", file});
    std::vector<std::string> args = {"import", file, "--family", family, "-o", back};
    if (file.ends_with(".pth")) {  // which holds tensors alone
      const bool mae = std::string(name) == "crate_mae_s";
      args.insert(args.end(), {"--config", mae ? "heads=3" : "heads=4"});
      if (mae) args.insert(args.end(), {"--config", "decoder_heads=4"});
    }
    succeeds(args);
    EXPECT_EQ(read_file(back + "/model.safetensors"), read_file(model + "/model.safetensors")) << exported;
    EXPECT_EQ(read_file(back + "/config.json"), read_file(model + "/config.json")) << exported;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OfficialImages,
                         testing::Values(std::pair{"crate_vision_s", "crate"},
                                         std::pair{"crate_alpha_s", "crate-alpha"}, std::pair{"vit_s", "vit"},
                                         std::pair{"crate_mae_s", "crate-mae"}),
                         [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace crate::whole
