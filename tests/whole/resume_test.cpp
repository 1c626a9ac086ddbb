// Never lose work: killed runs leave loadable checkpoints, and resumed ones end with the same bytes.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

// Lines of metrics without what depends on the clock.
std::string timeless_metrics(const std::string& folder) {
  std::istringstream in(read_file(folder + "/metrics.jsonl"));
  std::string out;
  for (std::string text; std::getline(in, text);) {
    auto line = nlohmann::json::parse(text);
    for (const char* clock : {"peak_share", "seconds", "time", "tokens_per_second"}) line.erase(clock);
    out += line.dump() + "\n";
  }
  return out;
}

void expect_same(const std::string& a, const std::string& b) {
  for (const char* name : {"/model.safetensors", "/training_state.safetensors"})
    EXPECT_TRUE(read_file(a + name) == read_file(b + name)) << name;
  for (const char* name : {"/training.json", "/config.json"})
    EXPECT_EQ(read_file(a + name), read_file(b + name)) << name;
  EXPECT_TRUE(timeless_metrics(a) == timeless_metrics(b)) << timeless_metrics(b);
}

bool is_complete(const std::string& folder) { return std::filesystem::exists(folder + "/complete.json"); }

TEST(Resume, ContinuesBitForBitAfterKills) {
  const Folder folder;
  const std::string whole = folder.at("whole"), broken = folder.at("broken");
  const auto begin = std::chrono::steady_clock::now();
  const Outcome straight = run_crate(tiny_training(whole));
  ASSERT_EQ(straight.code, 0) << straight.err;
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
  int killed = 0;
  for (int round = 0; round < 8; ++round) {
    const Outcome o =
        run_and_signal(tiny_training(broken, {"--resume"}), static_cast<int>(took * (round + 3) / 10), SIGKILL);
    killed += o.code == 128 + SIGKILL ? 1 : 0;
    if (is_complete(broken)) {
      EXPECT_EQ(run_crate({"info", broken}).code, 0) << "after kill " << round;
    }
  }
  EXPECT_GT(killed, 0);
  const Outcome last = run_crate(tiny_training(broken, {"--resume"}));
  ASSERT_EQ(last.code, 0) << last.err;
  expect_same(whole, broken);
}

TEST(Resume, InterruptSavesAndStops) {
  const Folder folder;
  const std::string whole = folder.at("whole"), broken = folder.at("broken");
  const std::vector<std::string> longer = {"--set", "train.steps=3000",  "--set", "train.checkpoint_every=0",
                                           "--set", "train.eval_every=0"};
  std::vector<std::string> resumed = longer;
  resumed.push_back("--resume");
  ASSERT_EQ(run_crate(tiny_training(whole, longer)).code, 0);
  int stops = 0;
  for (int round = 0; round < 3; ++round) {
    // Once it has logged something new.
    const std::string metrics = broken + "/metrics.jsonl";
    const std::size_t before = read_file(metrics).size();
    const Outcome o = run_and_signal(
        tiny_training(broken, resumed), [&] { return read_file(metrics).size() > before; }, SIGINT);
    ASSERT_EQ(o.code, 0) << o.err;
    stops += o.out.find("continue with --resume") != std::string::npos ? 1 : 0;
    EXPECT_TRUE(is_complete(broken));
  }
  EXPECT_GT(stops, 0);
  ASSERT_EQ(run_crate(tiny_training(broken, resumed)).code, 0);
  expect_same(whole, broken);
}

}  // namespace
}  // namespace crate::whole
