// process: runs the built command as a user would, and may kill it.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "testing/folder.h"

namespace crate::whole {

struct Outcome {
  int code = -1;  // exit code; 128 + signal when killed
  std::string out, err;
};

/// `crate ARGS`, two threads, run from the project's root.
Outcome run_crate(const std::vector<std::string>& args);
/// A shell line; `crate` is the built command.
Outcome run_shell(const std::string& line);
/// Starts `crate ARGS` and sends `signal` after `milliseconds`, unless it has ended by then.
Outcome run_and_signal(const std::vector<std::string>& args, int milliseconds, int signal);
/// The same, as soon as `ready` says so; at the latest after a minute.
Outcome run_and_signal(const std::vector<std::string>& args, const std::function<bool()>& ready, int signal);

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);
/// A recipe of a tiny model on a text of the project; ends within a second or two.
std::vector<std::string> tiny_training(const std::string& out, std::vector<std::string> more = {});

}  // namespace crate::whole
