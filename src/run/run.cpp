#include "run/run.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/parallel.h"
#include "tensor/wide.h"

namespace crate {
namespace {

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

template <class T> void add_or_copy(T* to, const T* from, int64_t n, bool add) {
  parallel_for(n, 1 << 14, [=](int64_t lo, int64_t hi) {
    if (!add) {
      std::memcpy(static_cast<void*>(to + lo), from + lo, static_cast<std::size_t>(hi - lo) * sizeof(T));
      return;
    }
    for (int64_t i = lo; i < hi; ++i) to[i] += from[i];
  });
}

template <class T> void fill(Tensor& t, double value) { std::fill_n(t.as<T>(), t.numel(), static_cast<T>(value)); }

void fill_any(Tensor t, double value) {
  if (t.dtype == Dtype::f32) return fill<float>(t, value);
  visit_ref(t.dtype, [&](auto zero) { fill<decltype(zero)>(t, value); });
}

}  // namespace

void add_into(Device&, const GradTo& to, const Tensor& from) {
  require(to.to.numel() == from.numel(), "[add_into] expected {} elements, came {}", to.to.numel(), from.numel());
  const int64_t n = from.numel();
  if (from.dtype == Dtype::f32) return add_or_copy(to.to.as<float>(), from.as<float>(), n, to.add);
  visit_ref(from.dtype, [&](auto zero) {
    using T = decltype(zero);
    add_or_copy(to.to.as<T>(), from.as<T>(), n, to.add);
  });
}

Run::Run(Device& device, RunOptions options) : device_(device), options_(options), recording_(options.record) {
  if (options_.trace) last_time_ = now_ms();
}

Run::~Run() {
  for (std::size_t id = 0; id < slots_.size(); ++id) {
    slots_[id].keep = false;
    release_grad(static_cast<int32_t>(id));
  }
  for (void* block : owned_) device_.pool().release(block);
}

int32_t Run::new_slot(Shape shape) {
  slots_.push_back({{}, nullptr, shape, false});
  return static_cast<int32_t>(slots_.size()) - 1;
}

Tensor Run::make(Shape shape, Dtype dtype) {
  Tensor t = device_.allocate(shape, dtype);
  owned_.push_back(t.data);
  if (recording_) t.id = new_slot(shape);
  return t;
}

Tensor Run::param(Param& p) {
  Tensor t = p.value;
  if (!options_.record) return t;
  const auto [it, fresh] = params_.try_emplace(&p, static_cast<int32_t>(slots_.size()));
  if (fresh) {
    new_slot(p.value.shape);
    slots_.back().param = &p;
  }
  t.id = it->second;
  return t;
}

Tensor Run::constant(Shape shape, double value) {
  Tensor t = device_.allocate(shape);
  owned_.push_back(t.data);
  fill_any(t, value);
  return t;
}

void Run::record(const char* op, const Tensor& output, Cost forward, Cost backward, std::function<void()> walk_back) {
  require(!recording_ || !options_.frozen, "[{}] has no frozen rule: this network cannot be explained", op);
  leave_node({op, output.shape, forward, backward, std::move(walk_back), output.id, -1, 0});
}

void Run::record_frozen(const char* op, const Tensor& output, Cost forward, std::function<void()> walk_back,
                        const Tensor& inner) {
  leave_node({op, output.shape, forward, forward, std::move(walk_back), output.id, inner ? inner.id : -1, 0});
}

void Run::leave_node(Node node) {
  forward_cost_ += node.forward;
  node.line = trace_.size();
  if (options_.trace) {
    const double now = now_ms();
    trace_.push_back({node.op, node.shape.str(), node.forward, node.backward, now - last_time_, 0});
    last_time_ = now;
  }
  if (!recording_) return;
  backward_cost_ += node.backward;
  nodes_.push_back(std::move(node));
}

void Run::leave_constant(const Tensor& of, const std::string& name, std::vector<double> rows, bool inside) {
  const Param* param = of.id < 0 ? nullptr : slot(of).param;
  Constant c{param ? param->name : name, nodes_.size(), inside, std::move(rows)};
  for (Constant& earlier : constants_) {
    if (earlier.node != c.node || earlier.name != c.name) continue;
    for (std::size_t i = 0; i < c.rows.size(); ++i) earlier.rows[i] += c.rows[i];
    return;
  }
  constants_.push_back(std::move(c));
}

bool Run::wants(const Site& site, std::string_view name) const {
  if (!options_.tap) return false;
  const std::string at = site.at(name);
  return options_.tap->wants(at) || options_.tap->edits(at);
}

void Run::see(const Site& site, std::string_view name, const Tensor& value) {
  if (!options_.tap) return;
  const std::string at = site.at(name);
  if (options_.tap->edits(at)) {
    require(!options_.record, "[run] a tap may not edit {} while the run records: its gradient would be wrong", at);
    options_.tap->edit(at, value);
  }
  if (options_.tap->wants(at)) options_.tap->see(at, *Wide(device_, value));
}

Edit Run::see_inner(const Site& site, std::string_view name, const Tensor& value) {
  const std::string at = site.at(name);
  Edit edit;
  if (!options_.tap || !options_.record || !options_.frozen || !options_.tap->edits(at)) {
    see(site, name, value);
    return edit;
  }
  edit = {make(value.shape), constant(value.shape, 1), constant(value.shape, 0)};
  std::memcpy(edit.before.data, value.data, value.bytes());
  for (const Tensor& t : {edit.slope, edit.constant, value}) options_.tap->edit(at, t);
  const auto subtract = [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < value.numel(); ++i) edit.slope.as<T>()[i] -= edit.constant.as<T>()[i];
  };
  if (value.dtype == Dtype::f32)
    subtract(float{});
  else
    visit_ref(value.dtype, subtract);
  if (options_.tap->wants(at)) options_.tap->see(at, value);
  return edit;
}

Run::Slot& Run::slot(const Tensor& x) {
  require(x.id >= 0 && x.id < static_cast<int32_t>(slots_.size()), "[run] tensor {} has no gradient slot in this run",
          x.shape.str());
  return slots_[static_cast<std::size_t>(x.id)];
}

Tensor Run::grad_of(const Tensor& x) const {
  if (x.id < 0 || x.id >= static_cast<int32_t>(slots_.size())) return {};
  const Slot& s = slots_[static_cast<std::size_t>(x.id)];
  if (s.param) return s.param->has_grad ? s.param->grad : Tensor{};
  return s.grad ? s.grad.reshaped(x.shape) : Tensor{};
}

GradTo Run::grad_to(const Tensor& x) {
  if (x.id < 0) return {};
  Slot& s = slot(x);
  if (s.param) {
    const bool add = std::exchange(s.param->has_grad, true);
    require(static_cast<bool>(s.param->grad), "[run] parameter {} has no memory for its gradient", s.param->name);
    return {s.param->grad, add};
  }
  const bool add = static_cast<bool>(s.grad);
  if (!add) s.grad = device_.allocate(s.shape);
  return {s.grad.reshaped(x.shape), add};
}

void Run::pass_grad(const Tensor& y, const Tensor& x) {
  if (x.id < 0) return;
  Slot& from = slot(y);
  Slot& to = slot(x);
  if (!to.grad && !to.param && !from.keep) {
    to.grad = std::exchange(from.grad, Tensor{}).reshaped(to.shape);
    return;
  }
  const Tensor d_y = grad_of(y);
  add_into(device_, grad_to(x), d_y);
}

void Run::release_grad(int32_t id) {
  Slot& s = slots_[static_cast<std::size_t>(id)];
  if (s.param || s.keep || !s.grad) return;
  device_.pool().release(s.grad.data);
  s.grad = Tensor{};
}

void Run::keep_grad(const Tensor& x) { slot(x).keep = true; }

void Run::backward(const Tensor& loss) {
  if (!grad_of(loss)) fill_any(grad_to(loss).to, 1.0);
  walk();
}

void Run::walk() {
  recording_ = false;
  while (!nodes_.empty()) {
    const Node node = std::move(nodes_.back());
    nodes_.pop_back();
    if (node.output >= 0 && !arrived(node.output) && !arrived(node.inner)) continue;
    const double start = options_.trace ? now_ms() : 0;
    node.walk_back();
    if (options_.trace && node.line < trace_.size()) trace_[node.line].backward_ms += now_ms() - start;
    if (node.output >= 0) release_grad(node.output);
    if (node.inner >= 0) release_grad(node.inner);
  }
}

void Run::free_since(std::size_t mark, const void* keep) {
  bool kept = false;
  for (std::size_t i = mark; i < owned_.size(); ++i) {
    if (owned_[i] == keep)
      kept = true;
    else
      device_.pool().release(owned_[i]);
  }
  owned_.resize(mark);
  if (kept) owned_.push_back(const_cast<void*>(keep));
}

Tensor Run::recompute(const Tensor& x, const std::function<Tensor(const Tensor&)>& body) {
  if (!recording_) return body(x);
  const std::size_t mark = owned_.size();
  recording_ = false;
  Tensor y = body(x);
  recording_ = true;
  free_since(mark, y.data);
  y.id = new_slot(y.shape);
  record("recompute", y, {}, {}, [this, x, y, body] { rerun(x, y, body); });
  return y;
}

Tensor Run::pass_on(const Tensor& x, const std::function<Tensor(const Tensor&)>& body) {
  std::size_t mark = owned_.size();
  const Tensor y = body(x);
  if (options_.record && operand() != real() && y.data != x.data) {
    const auto end = owned_.begin() + static_cast<std::ptrdiff_t>(mark);
    const auto it = std::find(owned_.begin(), end, x.data);
    if (it != end) {
      device_.pool().release(x.data);
      owned_.erase(it);
    }
  }
  if (!unseen()) return y;
  if (mark > 0 && owned_[mark - 1] == x.data) --mark;
  free_since(mark, y.data);
  return y;
}

bool Run::may_part(int64_t n) const {
  const int64_t threads = thread_count();
  return unseen() && !options_.train && threads > 1 && (n % threads == 0 || n >= 4 * threads);
}

Tensor Run::each_apart(const Tensor& batch, Shape out, const std::function<Tensor(Run&, const Tensor&)>& f) {
  const int64_t n = batch.shape[0];
  const Tensor all = make(out);
  std::vector<Cost> costs(static_cast<std::size_t>(n));
  parallel_chunks(n, 1, [&](int64_t i, int64_t, int64_t) {
    Run own(device_, options_);
    const Tensor one = f(own, batch.entry(i));
    std::memcpy(all.entry(i).data, one.data, one.bytes());
    costs[static_cast<std::size_t>(i)] = own.forward_cost();
  });
  for (const Cost& cost : costs) forward_cost_ += cost;
  return all;
}

void Run::rerun(const Tensor& x, const Tensor& y, const std::function<Tensor(const Tensor&)>& body) {
  const std::size_t mark = owned_.size();
  // Pushed first, so walked last: frees what the second forward made once its nodes are done.
  nodes_.push_back({"recompute.end", {}, {}, {}, [this, mark] { free_since(mark, nullptr); }, -1, -1, trace_.size()});
  recording_ = true;
  Tap* const tap = std::exchange(options_.tap, nullptr);  // listeners heard this forward already
  const Tensor again = body(x);
  options_.tap = tap;
  recording_ = false;
  pass_grad(y, again);
}

}  // namespace crate
