// program: other compressors, run as a user would run them: the size they reach, what it took, and whether what they
// wrote decodes to the same bytes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crate {

/// A command with its streams; empty names: /dev/null.
struct ProgramCall {
  std::vector<std::string> args;            // the first is looked for in PATH
  std::string output = {};                  // file that takes its standard output
  std::vector<std::string> variables = {};  // NAME=value, over the environment
};

struct ProgramRun {
  int code = -1;       // exit code; 128 + signal
  double seconds = 0;  // of processor time, all its threads
  int64_t memory = 0;  // bytes, at most resident, as far as looking every 20 ms sees it
};

bool is_installed(const std::string& program);
/// Runs to the end. Throws Error when it cannot be started.
ProgramRun run_program(const ProgramCall& call);

/// A way to a smaller file and back.
struct Coder {
  std::string name;            // of the row: "xz -9e"
  std::string package;         // what to install where it is missing
  ProgramCall encode, decode;  // %i the input, %o the archive, %b the file decoded
};

/// Those of the table, for a file of `bytes`; a program goes by the first of its names that is installed.
std::vector<Coder> known_coders(int64_t bytes);

struct Coded {
  int64_t raw = 0, archive = 0;  // bytes
  double encode_seconds = 0, decode_seconds = 0;
  int64_t memory = 0;  // the larger of both ways
  bool exact = false;
};

/// Codes and decodes `file` with what it leaves in `folder`. Throws Error when a run fails.
Coded code_file(const Coder& coder, const std::string& file, const std::string& folder);

}  // namespace crate
