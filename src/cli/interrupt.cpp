#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>

#include <cstdlib>

namespace crate::cli {
namespace {

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Interrupt::Interrupt() {
  const sigset_t set = watched();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  watcher_ = std::thread([this] { watch(); });
}

Interrupt::~Interrupt() {
  over_ = true;
  pthread_kill(watcher_.native_handle(), SIGTERM);
  watcher_.join();
  const sigset_t set = watched();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Interrupt::watch() {
  const sigset_t set = watched();
  int signal = 0;
  while (sigwait(&set, &signal) == 0 && !over_) {
    if (requested_.exchange(true)) std::_Exit(130);
  }
}

}  // namespace crate::cli
