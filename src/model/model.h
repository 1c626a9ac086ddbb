// model: what every model here is: a configuration, parameters by name, and a device. What it computes is the business
// of its class: LanguageModel reads tokens, VisionModel images.
#pragma once
#include <cstdint>

#include "model/parameters.h"
#include "run/run.h"

namespace crate {

class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelConfig& config() const { return config_; }
  ParameterStore& store() { return store_; }
  const ParameterStore& store() const { return store_; }
  Device& device() { return device_; }

  /// The authors' initialisation; the same numbers on every device.
  void init(uint64_t seed) { init_parameters(store_, config_, seed); }
  /// Each block's activations are computed again in the backward instead of kept.
  void set_recompute(bool on) { recompute_ = on; }
  int64_t parameters() const { return store_.count(); }

 protected:
  /// Throws Error when the configuration does not hold together. Values are not set: init() or a loader does.
  Model(Device& device, const ModelConfig& config) : device_(device), config_(config), store_(device) {
    config.validate();
    for (const auto& [name, shape, decay] : parameter_shapes(config)) store_.add(name, shape).decay = decay;
  }

  /// body(z), and z is given up. A recording run keeps the activations or, when the model recomputes, makes them again
  /// in the backward.
  template <class Body> Tensor next(Run& run, const Tensor& z, Body&& body) {
    return recompute_ && run.recording() ? run.recompute(z, body) : run.pass_on(z, body);
  }

 private:
  Device& device_;
  ModelConfig config_;
  ParameterStore store_;
  bool recompute_ = false;
};

}  // namespace crate
