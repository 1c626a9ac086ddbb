// average: a slow copy of the weights, average = decay average + (1 - decay) weights after every step: the weights that
// are evaluated beside the trained ones, and the teacher of self-supervision.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "model/store.h"

namespace crate {

class WeightAverage {
 public:
  /// Memory only; set() before use.
  WeightAverage(Device& device, std::vector<ParameterStore*> stores);
  ~WeightAverage();
  WeightAverage(const WeightAverage&) = delete;
  WeightAverage& operator=(const WeightAverage&) = delete;

  /// Begins at the weights as they are now.
  void set();
  void update(double decay);
  /// The averages by name, "PREFIX/<parameter>".
  std::vector<std::pair<std::string, Tensor>> named(const std::string& prefix) const;

  /// While it lives, the averages stand in the place of the weights.
  class Swap {
   public:
    explicit Swap(WeightAverage& average) : average_(average) { average_.swap(); }
    ~Swap() { average_.swap(); }
    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

   private:
    WeightAverage& average_;
  };

 private:
  void swap();
  Device& device_;
  std::vector<ParameterStore*> stores_;
  std::vector<Tensor> averages_;  // of every parameter of every store, in order
};

}  // namespace crate
