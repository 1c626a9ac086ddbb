// meter: the share of an experiment's work that is done, and how long the rest will take at the speed seen so far.
#pragma once
#include <chrono>

namespace crate {

class WorkMeter {
 public:
  /// How much work the experiment is; may be told again when it turns out to be more or less.
  void of(double all) { all_ = all; }

  /// A run begins; its work is counted from here.
  void begin();
  /// The run has now done `work`. What lies between two calls is timed.
  void at(double work);
  /// The run, of that much work in all, is over.
  void end(double work);

  double share() const { return all_ > 0 ? (before_ + now_) / all_ : 0; }
  /// 0: not known yet.
  double seconds_left() const { return seen_ > 0 ? (all_ - before_ - now_) * seconds_ / seen_ : 0; }

 private:
  using Clock = std::chrono::steady_clock;
  double all_ = 0;
  double before_ = 0, now_ = 0;    // work of the runs that are over, and of the one that runs
  double seen_ = 0, seconds_ = 0;  // work that was watched, and the time it took
  bool watching_ = false;
  Clock::time_point last_;
};

}  // namespace crate
