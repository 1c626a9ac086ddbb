// statistics: means of a few seeds with the interval that holds the true mean in 95 of 100 cases, errors taken as
// normal (Student's t).
#pragma once
#include <vector>

namespace crate {

struct Estimate {
  double mean = 0;
  double half_width = 0;  // of the 95 % interval; infinite for a single value
};

/// Throws Error on no values.
Estimate estimate(const std::vector<double>& values);

/// Of a[i] - b[i], for values that belong together (the same seed, hence the same order of the data).
Estimate paired_difference(const std::vector<double>& a, const std::vector<double>& b);

/// The t that a Student variable with `freedom` degrees of freedom stays below with probability 0.975.
double student_t_975(int freedom);

}  // namespace crate
