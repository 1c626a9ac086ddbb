// tap: listens to evaluation runs of a model and measures every layer: one pass, any number of batches.
//
// A batch is a set of samples (its first dimension). Every sample gives one value of each quantity; the measurement
// holds their means and deviations. For the stream at z_pre, z_mid and z_post the tap carries out norm1 and the
// projection of the same block, so that a change from one place to the next is told in the same subspaces. The
// black-box twins have no subspaces of their own; the rows of their key projection stand in, as Yu et al. do
// (2308.16271, appendix B).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/store.h"
#include "run/run.h"
#include "work/measure/measurement.h"

namespace crate {

class MeasureTap final : public Tap {
 public:
  /// squared_precision: the e of rate.h; 0.01 is the authors'.
  MeasureTap(Device& device, ParameterStore& store, const ModelConfig& config, double squared_precision = 0.01);

  bool wants(std::string_view site) override;
  void see(std::string_view site, const Tensor& value) override;

  /// What has been seen so far, and what the weights say now. Throws Error when nothing was seen.
  Measurement result();

 private:
  struct Layer {
    LayerMeasure measure;
    std::vector<double> moments;        // (heads, p, p), summed over samples
    std::vector<double> rate_c;         // of the samples of this batch at z_pre
    std::vector<std::byte> code_input;  // norm2.out of this batch
    Tensor input;                       // a view of it
    double fell = 0, rows = 0;          // tokens whose objective fell, of all
  };

  std::string block(int64_t layer) const;
  Tensor bases(int64_t layer);
  std::vector<double> coords_of(Run& run, int64_t layer, const Tensor& z, bool normed);
  void measure_stream(int64_t layer, Rates& rates, std::string_view place, const Tensor& z);
  void measure_code(int64_t layer, const Tensor& code);
  void measure_objective(int64_t layer, const Tensor& code);
  void measure_nonzero(int64_t layer, const Tensor& code);

  Device& device_;
  ParameterStore& store_;
  const ModelConfig& config_;
  double squared_precision_;
  int64_t samples_ = 0, tokens_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace crate
