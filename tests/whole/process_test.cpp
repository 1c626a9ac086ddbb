// process: how the tests of the whole program run it.
#include "tests/whole/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

namespace crate::whole {
namespace {

const std::string binary = std::string(CRATE_BINARY_DIR) + "/bin/crate";

pid_t start(const std::vector<std::string>& args, const std::string& out, const std::string& err) {
  const pid_t child = fork();
  if (child != 0) return child;
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644),
            err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(out_fd, 1);
  dup2(err_fd, 2);
  if (chdir(CRATE_SOURCE_DIR) != 0) _exit(127);
  setenv("OMP_NUM_THREADS", "2", 1);
  setenv("OMP_WAIT_POLICY", "passive", 0);  // threads that spin for each other crawl on a busy machine
  std::vector<char*> argv;
  for (const std::string& a : args) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

Outcome finish(pid_t child, const std::string& out, const std::string& err) {
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out), read_file(err)};
}

Outcome run(const std::vector<std::string>& args) {
  const Folder folder;
  return finish(start(args, folder.at("out"), folder.at("err")), folder.at("out"), folder.at("err"));
}

std::vector<std::string> with_binary(const std::vector<std::string>& args) {
  std::vector<std::string> all = {binary};
  all.insert(all.end(), args.begin(), args.end());
  return all;
}

}  // namespace

Outcome run_crate(const std::vector<std::string>& args) { return run(with_binary(args)); }
Outcome run_shell(const std::string& line) {
  return run({"bash", "-c", "crate() { " + binary + " \"$@\"; }; " + line});
}

Outcome run_and_signal(const std::vector<std::string>& args, const std::function<bool()>& ready, int signal) {
  const Folder folder;
  const pid_t child = start(with_binary(args), folder.at("out"), folder.at("err"));
  for (int waited = 0; waited < 60000 && !ready(); ++waited) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  kill(child, signal);
  return finish(child, folder.at("out"), folder.at("err"));
}

Outcome run_and_signal(const std::vector<std::string>& args, int milliseconds, int signal) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  return run_and_signal(
      args, [end] { return std::chrono::steady_clock::now() >= end; }, signal);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::vector<std::string> tiny_training(const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> args = {"train", "recipes/demo.toml", "--out", out};
  for (const char* setting :
       {"model.dim=32", "model.layers=2", "model.context=32", "train.steps=40", "train.batch=4", "train.eval_every=20",
        "train.eval_tokens=512", "train.checkpoint_every=5", "train.log_every=3"}) {
    args.insert(args.end(), {"--set", setting});
  }
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

TEST(Process, RunsTheCommand) {
  const Outcome o = run_crate({"--version"});
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.out, "crate 0.1.0\n");
  EXPECT_EQ(run_shell("exit 3").code, 3);
}

}  // namespace crate::whole
