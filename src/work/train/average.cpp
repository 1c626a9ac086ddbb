#include "work/train/average.h"

#include <utility>

#include "ops/optimiser.h"

namespace crate {
namespace {

template <class F> void for_each_param(const std::vector<ParameterStore*>& stores, F&& f) {
  std::size_t i = 0;
  for (ParameterStore* store : stores)
    for (Param& p : store->all()) f(p, i++);
}

}  // namespace

WeightAverage::WeightAverage(Device& device, std::vector<ParameterStore*> stores)
    : device_(device), stores_(std::move(stores)) {
  for_each_param(stores_, [&](Param& p, std::size_t) { averages_.push_back(device.allocate(p.value.shape)); });
}

WeightAverage::~WeightAverage() {
  for (const Tensor& t : averages_) device_.pool().release(t.data);
}

void WeightAverage::set() {
  for_each_param(stores_, [&](Param& p, std::size_t i) {
    set_zero(device_, averages_[i]);
    average_step(device_, {averages_[i], p.value}, 0);
  });
}

void WeightAverage::update(double decay) {
  for_each_param(stores_, [&](Param& p, std::size_t i) { average_step(device_, {averages_[i], p.value}, decay); });
}

std::vector<std::pair<std::string, Tensor>> WeightAverage::named(const std::string& prefix) const {
  std::vector<std::pair<std::string, Tensor>> out;
  for_each_param(stores_, [&](Param& p, std::size_t i) { out.emplace_back(prefix + "/" + p.name, averages_[i]); });
  return out;
}

void WeightAverage::swap() {
  for_each_param(stores_, [&](Param& p, std::size_t i) { std::swap(p.value.data, averages_[i].data); });
  for (ParameterStore* store : stores_) store->values_changed();
}

}  // namespace crate
