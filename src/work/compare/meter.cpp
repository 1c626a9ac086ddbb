#include "work/compare/meter.h"

namespace crate {

void WorkMeter::begin() {
  now_ = 0;
  watching_ = false;
}

// The first call only sets the clock: a resumed run begins somewhere in its middle.
void WorkMeter::at(double work) {
  const Clock::time_point now = Clock::now();
  if (watching_ && work > now_) {
    seen_ += work - now_;
    seconds_ += std::chrono::duration<double>(now - last_).count();
  }
  watching_ = true;
  last_ = now;
  now_ = work;
}

void WorkMeter::end(double work) {
  before_ += work;
  now_ = 0;
}

}  // namespace crate
