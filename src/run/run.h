// run: one execution of a model. An operator computes at once; when the run records, it also leaves a node, and
// backward() walks the nodes from the last to the first. Gradients arrive in slots, one a tensor, and every writer is
// told whether it is the first (set) or a later one (add).
//
//   Run run(device, {.record = true});
//   Tensor y = linear(run, x, run.param(w), ...);   // executes, records
//   run.backward(loss);                             // fills the gradients of every Param used
//
// Memory: tensors made by the run live until it ends, its Scope closes or they are given up (pass_on); gradients until
// their node has been walked. What is saved for the backward is real(), or bf16 where products read that
// (make_operand): inputs of products, codes, slopes, normed rows. The stream, sums, gradients and parameters never are.
//
// A frozen run walks the network that it is for this input alone: attention patterns, normalisers' scales, active sets
// and gates are held at their values, so every operator is affine in its inputs, y = A x + c. Its rule carries
// d_x = A' d_y and leaves d_y . c, one number a row of y, as a Constant. Weights get no gradient. For a target t,
// linear in what the caller seeds, and any cut through the network: t = sum of gradient . value over the cut + the
// constants behind it (docs/math.md, "frozen rules").
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "run/cost.h"
#include "run/param.h"
#include "run/tap.h"
#include "tensor/device.h"

namespace crate {

/// Where a kernel writes a gradient: set when `add` is false, else add to what is there. Empty: nobody wants it.
struct GradTo {
  Tensor to;
  bool add = false;
  explicit operator bool() const { return static_cast<bool>(to); }
};

/// What one additive constant of an operator (bias, threshold, position, embedding) gives to the target of a frozen
/// walk.
struct Constant {
  std::string name;          // of the parameter: "blocks.3.norm2.shift"
  std::size_t node = 0;      // the operator's place on the tape
  bool inside = false;       // it enters before the operator's inner tensor, not behind it
  std::vector<double> rows;  // one number a row of the operator's output
};

/// What a tap did to a tensor inside an operator while a frozen run recorded: x <- slope o x + constant.
struct Edit {
  Tensor before;  // x
  Tensor slope, constant;
  explicit operator bool() const { return static_cast<bool>(before); }
};

/// What the record keeps of an operator call.
struct Node {
  const char* op = "";  // "mssa"
  Shape shape;          // of its output
  Cost forward, backward;
  std::function<void()> walk_back;  // reads grad_of(output), writes grad_to(inputs)
  int32_t output = -1;              // its slot: the gradient is freed once the node has been walked
  int32_t inner = -1;               // slot of a tensor inside the operator (a code), likewise; frozen runs only
  std::size_t line = 0;             // its place in the trace
};

/// One line of --trace.
struct TraceLine {
  std::string op;
  std::string shape;
  Cost forward, backward;
  double forward_ms = 0, backward_ms = 0;
};

struct RunOptions {
  bool record = false;  // keep nodes for backward()
  bool train = false;   // dropout is active
  bool frozen = false;  // hold patterns, scales, active sets and gates: see above
  bool trace = false;   // time each node
  Tap* tap = nullptr;
  uint64_t seed = 0;  // of dropout
  uint64_t step = 0;  // addresses dropout: the same step draws the same masks
};

class Run {
 public:
  explicit Run(Device& device, RunOptions options = {});
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Device& device() const { return device_; }
  Dtype real() const { return device_.real(); }
  const RunOptions& options() const { return options_; }
  bool recording() const { return recording_; }
  bool frozen() const { return options_.frozen; }
  /// Nodes recorded so far: where on the tape what comes now will stand.
  std::size_t nodes() const { return nodes_.size(); }

  // ---- forward side, for operators ----

  /// A new tensor (not zeroed), with a gradient slot when recording.
  Tensor make(Shape shape, Dtype dtype);
  Tensor make(Shape shape) { return make(shape, real()); }
  /// The same for a tensor that products read, and what stands the rounding of their operands: bf16 where this run
  /// trains with products of bf16 (Device::operand), else real(). Its gradient is real() all the same.
  Tensor make_operand(Shape shape) { return make(shape, operand()); }
  Dtype operand() const { return options_.record && !options_.frozen ? device_.operand() : real(); }
  /// A tensor of one block that leaves with the returned object.
  Scratch scratch(std::size_t bytes) { return {device_.pool(), bytes}; }
  /// The weight as a tensor of this run; the same slot at each call.
  Tensor param(Param& p);
  /// A tensor without gradient whose elements all hold `value`.
  Tensor constant(Shape shape, double value);
  /// Counts the cost and leaves a node when recording. walk_back runs only if a gradient arrived at `output`.
  void record(const char* op, const Tensor& output, Cost forward, Cost backward, std::function<void()> walk_back);
  /// The same for a frozen run, with the operator's frozen rule. `inner` is a tensor inside the operator that callers
  /// may seed and whose gradient they may keep: the rule reads grad_of(inner) and writes grad_to(inner).
  void record_frozen(const char* op, const Tensor& output, Cost forward, std::function<void()> walk_back,
                     const Tensor& inner = {});
  /// Does the tap want this site, to read or to edit?
  bool wants(const Site& site, std::string_view name) const;
  /// Offers a tensor to the tap at `site`, to read or to edit; one of bf16, to be read, as f32.
  void see(const Site& site, std::string_view name, const Tensor& value);
  /// The same for the inner tensor of an operator: a tap may edit it while a frozen run records, number by number and
  /// by an affine rule, and the operator's frozen rule heeds what is returned.
  Edit see_inner(const Site& site, std::string_view name, const Tensor& value);

  // ---- backward side, for operators ----

  /// The gradient that arrived at x; empty when none did.
  Tensor grad_of(const Tensor& x) const;
  /// Where to write the gradient of x. Marks it as written: call once per write, just before it.
  GradTo grad_to(const Tensor& x);
  /// d_x (+)= d_y where y = x + ...: hands the buffer of y on when x has none yet, else adds.
  void pass_grad(const Tensor& y, const Tensor& x);

  /// Leaves what a constant gives, while its operator's frozen rule runs; `name` serves when `of` is no parameter. Rows
  /// that come under one name from one operator are added up.
  void leave_constant(const Tensor& of, const std::string& name, std::vector<double> rows, bool inside = false);

  // ---- for callers ----

  /// Puts 1 (or what the caller wrote into seed_grad) at `loss` and walks back every node. Ends the recording.
  void backward(const Tensor& loss);
  /// Writable gradient slot of an output, for callers that start the walk themselves; then walk().
  GradTo seed_grad(const Tensor& output) { return grad_to(output); }
  void walk();
  /// Keeps the gradient of x after its node has been walked (grad_of works after backward).
  void keep_grad(const Tensor& x);

  /// What the frozen walk found, from the last operator to the first.
  const std::vector<Constant>& constants() const { return constants_; }

  Cost forward_cost() const { return forward_cost_; }
  Cost backward_cost() const { return backward_cost_; }
  /// The tape in the order of the forward, with times when options().trace was set.
  const std::vector<TraceLine>& trace() const { return trace_; }

  /// Runs `body(x)` without keeping its activations; the backward walk runs it again. x and what body returns must be
  /// tensors of this run. Costs one more forward of the body, saves everything it would have kept.
  Tensor recompute(const Tensor& x, const std::function<Tensor(const Tensor&)>& body);
  /// body(x). Where nobody can ask for it again, because the run neither records nor is listened to, all that body made
  /// but its result goes back, and x with it: what is computed next writes where the caches are still warm. Where
  /// operands are kept as bf16, x goes back from a recording run too: there an operator that takes x keeps what it
  /// reads of it in the backward, and one that made x reads it no more.
  Tensor pass_on(const Tensor& x, const std::function<Tensor(const Tensor&)>& body);

  /// May n sequences be computed apart, one a thread? Not where this run must see every tensor itself, nor where that
  /// would leave threads idle.
  bool may_part(int64_t n) const;
  /// f of each sequence of a batch, one a thread, each in a run of its own; their results, together of the shape `out`.
  /// A sequence that one thread walks to the end stays in its caches. Costs are counted here.
  Tensor each_apart(const Tensor& batch, Shape out, const std::function<Tensor(Run& own, const Tensor& one)>& f);

 private:
  struct Slot {
    Tensor grad;             // empty until the first writer
    Param* param = nullptr;  // its gradient lives in the Param
    Shape shape;
    bool keep = false;
  };
  Slot& slot(const Tensor& x);
  bool arrived(int32_t id) const { return id >= 0 && slots_[static_cast<std::size_t>(id)].grad; }
  void leave_node(Node node);
  int32_t new_slot(Shape shape);
  void release_grad(int32_t id);
  void free_since(std::size_t mark, const void* keep);
  bool unseen() const { return !options_.record && !options_.tap && !options_.trace; }
  void rerun(const Tensor& x, const Tensor& y, const std::function<Tensor(const Tensor&)>& body);

  Device& device_;
  RunOptions options_;
  bool recording_;
  std::vector<Node> nodes_;
  std::vector<Slot> slots_;
  std::vector<void*> owned_;  // blocks made by this run, in order
  std::unordered_map<const Param*, int32_t> params_;
  std::vector<TraceLine> trace_;
  std::vector<Constant> constants_;
  Cost forward_cost_, backward_cost_;
  double last_time_ = 0;
};

/// d_to (+)= d_from, elementwise, honouring the write mode. For residual paths and tests.
void add_into(Device& device, const GradTo& to, const Tensor& from);

}  // namespace crate
