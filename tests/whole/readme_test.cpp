// Every command of the README runs: the lines of its sh blocks, with smaller numbers, in a folder of their own.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

std::vector<std::string> readme_commands() {
  std::istringstream in(read_file(std::string(CRATE_SOURCE_DIR) + "/README.md"));
  std::vector<std::string> commands;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```"))
      inside = line == "```sh";
    else if (inside && !line.empty())
      commands.push_back(line);
  }
  return commands;
}

// What a command is given besides, so that it ends in seconds.
std::string smaller(const std::string& command) {
  if (command.find("scenes.toml") != std::string::npos)
    return " --set train.steps=3 --set train.batch=4 --set data.train=synthetic:40 --set data.val=synthetic:16";
  if (command.find(" compare ") != std::string::npos || command.find(" mdl ") != std::string::npos)
    return " --set train.steps=2 --set train.eval_tokens=500 --set train.batch=1 --set train.eval_every=0";
  if (command.find(" train ") != std::string::npos)
    return " --set train.steps=3 --set train.eval_tokens=2000 --set train.batch=2 --set train.eval_every=0";
  if (command.find("synthetic:") != std::string::npos) return "";
  if (command.find(" eval ") != std::string::npos) return " --max-tokens 2000";
  if (command.find(" generate ") != std::string::npos) return " -n 5";
  if (command.find(" --online ") != std::string::npos)
    return " --set dim=16 --set heads=2 --set layers=1 --set batch=2";
  if (command.find(" grow ") != std::string::npos)
    return " --size tiny --batch 1 --repeats 1 --rounds 1 --values 1,2,3";
  if (command.find(" bench ") != std::string::npos) return " --size tiny --batch 1 --repeats 1";
  return "";
}

std::string without_count(std::string command) {  // -n given twice would be refused
  const std::size_t at = command.find(" -n ");
  if (at != std::string::npos) command.erase(at, command.find(' ', at + 4) - at);
  return command;
}

TEST(Readme, EveryCommandRuns) {
  const Folder folder;
  const std::string makefile = read_file(std::string(CRATE_SOURCE_DIR) + "/Makefile");
  const auto commands = readme_commands();
  EXPECT_GE(commands.size(), 10u);
  const std::string root = CRATE_SOURCE_DIR;
  // The tries of the comparison's learning rates are shortened where they are written down.
  ASSERT_EQ(
      run_shell("cd " + folder.at("") + " && mkdir out && for d in data fixtures models README.md; do ln -s " + root +
                "/$d $d; done && cp -r " + root + "/recipes . && sed -i 's/^lr_steps = .*/lr_steps = 2/' " +
                "recipes/compare.toml && sed -i 's/^sample = .*/sample = 4096/; s/^widths = .*/widths = [4]/; s/^sizes "
                "= .*//' " +
                "recipes/mdl.toml")
          .code,
      0);
  for (const std::string& command : commands) {
    if (command.starts_with("make ")) {
      EXPECT_NE(makefile.find("\n" + command.substr(5) + ":"), std::string::npos) << command;
      continue;
    }
    ASSERT_TRUE(command.starts_with("build/bin/crate ")) << "not a command of ours: " << command;
    const std::string line = "cd " + folder.at("") + " && crate" +
                             without_count(command.substr(std::string("build/bin/crate").size())) + smaller(command);
    const Outcome o = run_shell(line);
    EXPECT_EQ(o.code, 0) << command << "\n" << o.err;
  }
}

}  // namespace
}  // namespace crate::whole
