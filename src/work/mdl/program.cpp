#include "work/mdl/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/file.h"

extern char** environ;  // POSIX: the environment

namespace crate {
namespace {

namespace fs = std::filesystem;

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment(const std::vector<std::string>& over) {
  std::vector<std::string> out;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view now(*at);
    const std::string_view name = now.substr(0, now.find('=') + 1);
    if (std::none_of(over.begin(), over.end(), [&](const std::string& o) { return o.starts_with(name); }))
      out.emplace_back(now);
  }
  out.insert(out.end(), over.begin(), over.end());
  return out;
}

double seconds_of(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

// Of a process that runs, so far. What wait4 tells begins with the size of this program, of which a child is a copy
// until it becomes another.
int64_t resident_at_most(pid_t process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return 1024 * std::strtoll(line.c_str() + 6, nullptr, 10);
  return 0;
}

ProgramCall filled(ProgramCall call, const std::string& in, const std::string& archive, const std::string& back) {
  const auto fill = [&](std::string& s) {
    if (s == "%i") s = in;
    if (s == "%o") s = archive;
    if (s == "%b") s = back;
  };
  for (std::string& arg : call.args) fill(arg);
  fill(call.output);
  return call;
}

ProgramRun checked(const Coder& coder, const ProgramCall& call) {
  const ProgramRun run = run_program(call);
  std::string line;
  for (const std::string& arg : call.args) line += (line.empty() ? "" : " ") + arg;
  require(run.code == 0, "{} ended with code {}; try it by hand: {}", coder.name, run.code, line);
  return run;
}

// Both write to standard output.
Coder piped(const std::string& name, const std::string& package, std::vector<std::string> encode,
            std::vector<std::string> decode) {
  return {name, package, {std::move(encode), "%o"}, {std::move(decode), "%b"}};
}

}  // namespace

bool is_installed(const std::string& program) {
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

ProgramRun run_program(const ProgramCall& call) {
  std::vector<std::string> args = call.args, variables = environment(call.variables);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const char* output = call.output.empty() ? "/dev/null" : call.output.c_str();
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, args.at(0).c_str(), &files, nullptr, pointers(args).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&files);
  require(error == 0, "cannot run {}: is it installed?", args[0]);
  int status = 0;
  rusage used{};
  int64_t memory = 0;
  for (unsigned pause = 1000;; pause = std::min(2 * pause, 20000U)) {  // microseconds
    memory = std::max(memory, resident_at_most(child));
    const pid_t ended = ::wait4(child, &status, WNOHANG, &used);
    if (ended == child) break;
    require(ended == 0 || errno == EINTR, "lost sight of {}", args[0]);
    ::usleep(pause);
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          seconds_of(used.ru_utime) + seconds_of(used.ru_stime), memory};
}

std::vector<Coder> known_coders(int64_t bytes) {
  const std::string block = std::to_string(std::clamp<int64_t>((bytes >> 20) + 1, 1, 511));  // MiB
  const std::string seven = is_installed("7z") ? "7z" : "7zz";
  return {
      piped("xz -9e", "xz-utils", {"xz", "-9e", "-T1", "-k", "-c", "%i"}, {"xz", "-d", "-c", "%o"}),
      piped("zstd -19 --ultra", "zstd", {"zstd", "-19", "--ultra", "-q", "-c", "%i"}, {"zstd", "-d", "-q", "-c", "%o"}),
      piped("brotli -q 11", "brotli", {"brotli", "-q", "11", "-w", "24", "-c", "%i"}, {"brotli", "-d", "-c", "%o"}),
      piped("bzip3", "bzip3", {"bzip3", "-e", "-c", "-b", block, "%i"}, {"bzip3", "-d", "-c", "%o"}),
      {"7z PPMd",
       "7zip",
       {{seven, "a", "-bd", "-y", "-mx=9", "-m0=PPMd", "%o", "%i"}},
       {{seven, "e", "-bd", "-so", "%o"}, "%b"}},
      {"zpaq -m5",
       "zpaq",
       {{"zpaq", "add", "%o", "%i", "-m5", "-t1"}},
       {{"zpaq", "extract", "%o", "%i", "-to", "%b", "-t1"}}}};
}

Coded code_file(const Coder& coder, const std::string& file, const std::string& folder) {
  fs::create_directories(folder);
  // Names that every program takes for an archive of its own kind.
  const std::string archive = folder + "/coded." + (coder.package == "zpaq" ? "zpaq" : "7z"),
                    back = folder + "/decoded";
  fs::remove(archive);
  fs::remove(back);
  const ProgramRun encode = checked(coder, filled(coder.encode, file, archive, back));
  const ProgramRun decode = checked(coder, filled(coder.decode, file, archive, back));
  Coded out{static_cast<int64_t>(fs::file_size(file)),
            static_cast<int64_t>(fs::file_size(archive)),
            encode.seconds,
            decode.seconds,
            std::max(encode.memory, decode.memory),
            false};
  out.exact = read_text_file(file) == read_text_file(back);
  fs::remove(archive);
  fs::remove(back);
  return out;
}

}  // namespace crate
