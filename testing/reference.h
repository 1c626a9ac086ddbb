// reference: values computed with the authors' own code (safetensors with param/, in/, out/, act/, grad/ tensors), and
// the comparison with them: relative error ||a - b|| / ||b|| over all numbers of a tensor, b being the stored one.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/files/safetensors.h"
#include "run/run.h"

namespace crate {

/// The real parts of a tensor's numbers.
std::vector<double> numbers_of(const Tensor& t);
/// I32 or I64 tokens as the models read them.
std::vector<int32_t> tokens_of(const Array& a);

/// ||a - b|| / ||b||; ||a|| when b is all 0. Infinite when the sizes differ or anything is not finite.
double relative_error(const std::vector<double>& a, const std::vector<double>& b);

/// Keeps a copy of every site that is offered, and with `run` set also the gradients there.
class RecordingTap final : public Tap {
 public:
  bool wants(std::string_view) override { return true; }
  void see(std::string_view site, const Tensor& value) override;
  /// Sites that have gradient slots keep their gradients in this run.
  void follow(Run& run) { run_ = &run; }

  std::map<std::string, std::vector<double>> values;
  std::map<std::string, Tensor> tensors;  // of the run being followed

 private:
  Run* run_ = nullptr;
};

/// Sets one channel at every position of one site.
class SteeringTap final : public Tap {
 public:
  SteeringTap(std::string site, int64_t channel, double value)
      : site_(std::move(site)), channel_(channel), value_(value) {}
  bool wants(std::string_view) override { return false; }
  void see(std::string_view, const Tensor&) override {}
  bool edits(std::string_view site) override { return site == site_; }
  void edit(std::string_view site, const Tensor& value) override;

 private:
  std::string site_;
  int64_t channel_;
  double value_;
};

}  // namespace crate
