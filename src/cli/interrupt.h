// interrupt: Ctrl-C and SIGTERM as a request for an orderly stop, for commands that have something to save.
#pragma once
#include <atomic>
#include <thread>

namespace crate::cli {

/// While it lives, the first SIGINT or SIGTERM asks for a stop and the second ends the program at once (exit code 130).
/// The signals are taken by a thread of its own: oneDNN's sgemm kernels move the stack pointer into a page of the heap,
/// and a handler that ran there would overwrite what lies below. Construct it before the process has other threads:
/// those started later do not receive the two signals.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  const std::atomic<bool>& requested() const { return requested_; }

 private:
  void watch();

  std::atomic<bool> requested_ = false, over_ = false;
  std::thread watcher_;
};

}  // namespace crate::cli
