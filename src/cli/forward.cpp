// crate forward: tensors in, tensors out: logits, loss, inner values, gradients.
#include <fnmatch.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/trace.h"
#include "model/checkpoint.h"
#include "model/names.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, in, out, taps, dtype = "f32";
  bool grad = false, official = false, trace = false;
};

// Copies of tensors on their way to a file: F64 on ref, F32 on cpu.
class Output {
 public:
  void add(const std::string& name, const Tensor& t) {
    TensorToWrite out{name, t.dtype == Dtype::f64 ? FileDtype::f64 : FileDtype::f32, {}, {}};
    for (int i = 0; i < t.shape.rank(); ++i) out.shape.push_back(t.shape[i]);
    const auto* begin = static_cast<const std::byte*>(t.data);
    out.bytes = buffers_.emplace_back(begin, begin + t.bytes());
    tensors_.push_back(out);
  }
  void add_scalar(const std::string& name, const Tensor& t) {
    add(name, t);
    tensors_.back().shape = {};
  }
  void write(const std::string& path) const { write_safetensors(path, tensors_); }
  const std::vector<TensorToWrite>& tensors() const { return tensors_; }

 private:
  std::deque<std::vector<std::byte>> buffers_;
  std::vector<TensorToWrite> tensors_;
};

class GlobTap final : public Tap {
 public:
  GlobTap(std::string glob, Output& out) : glob_(std::move(glob)), out_(out) {}
  bool wants(std::string_view site) override { return fnmatch(glob_.c_str(), std::string(site).c_str(), 0) == 0; }
  void see(std::string_view site, const Tensor& value) override { out_.add("tap/" + std::string(site), value); }

 private:
  std::string glob_;
  Output& out_;
};

const Array* find(const SafetensorsFile& file, const std::string& name) {
  for (const std::string& key : {name, "in/" + name}) {
    const auto it = file.tensors.find(key);
    if (it != file.tensors.end()) return &it->second;
  }
  return nullptr;
}

std::vector<int32_t> tokens_from(const Array& a, const std::string& what) {
  require(a.shape.size() == 2, "{} must be (batch, n), came {}", what, a.shape_str());
  std::vector<int32_t> out;
  for (const int64_t t : a.to_i64()) {
    require(t >= INT32_MIN && t <= INT32_MAX, "{}: {} does not fit 32 bits", what, t);
    out.push_back(static_cast<int32_t>(t));
  }
  return out;
}

void add_gradients(const Options& o, LanguageModel& model, Output& out) {
  for (const Param& p : model.store().all()) {
    const std::string official = o.official ? official_name(model.config().family, p.name) : "";
    if (p.has_grad) out.add("grad/" + (official.empty() ? p.name : official), p.grad);
  }
}

void run(const Options& o) {
  Device device(o.device_options(o.dtype));
  const auto model = load_language_model(device, o.model);
  const SafetensorsFile file = read_safetensors(o.in);
  const Array *tokens = find(file, "tokens"), *targets = find(file, "targets");
  require(tokens != nullptr, "{} holds no tensor 'tokens' (nor 'in/tokens')", o.in);
  require(!o.grad || targets != nullptr, "--grad needs a loss, and {} holds no tensor 'targets'", o.in);
  std::vector<int32_t> input = tokens_from(*tokens, "tokens"), wanted;
  const Shape shape{tokens->shape[0], tokens->shape[1]};
  const Tensor in{input.data(), shape, Dtype::i32};
  Output out;
  GlobTap tap(o.taps, out);
  {
    Run run(device, {.trace = o.trace && !targets, .tap = o.taps.empty() ? nullptr : &tap});
    out.add("logits", model->logits(run, in));
    if (o.trace && !targets) print_trace(run);
  }
  if (targets) {
    wanted = tokens_from(*targets, "targets");
    require(targets->shape == tokens->shape, "targets must be {} like the tokens, came {}", tokens->shape_str(),
            targets->shape_str());
    if (o.grad) model->store().allocate_grads();
    Run run(device, {.record = o.grad, .trace = o.trace});
    const CrossEntropy loss = model->loss(run, in, {wanted.data(), shape, Dtype::i32});
    out.add_scalar("loss", loss.loss);
    if (o.grad) {
      run.backward(loss.loss);
      add_gradients(o, *model, out);
    }
    if (o.trace) print_trace(run);
  }
  out.write(o.out);
  if (!o.json) {
    fmt::print("{} tensors in {}\n", out.tensors().size(), o.out);
    return;
  }
  nlohmann::json names = nlohmann::json::array();
  for (const auto& t : out.tensors()) names.push_back(t.name);
  fmt::print("{}\n", nlohmann::json{{"out", o.out}, {"tensors", names}}.dump());
}

}  // namespace

void add_forward(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(
      app, "forward", "run a model on tokens from a file; write logits, loss, inner values, gradients",
      "crate forward out/m --in batch.safetensors --out result.safetensors --taps 'blocks.*.ista.code' --grad", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--in", o->in, "safetensors with `tokens` I32/I64 (b, n) and, for a loss, `targets` (-1: not counted)")
      ->required();
  c->add_option("--out", o->out, "safetensors to write: logits, loss, tap/<site>, grad/<name>; F64 with --device ref")
      ->required();
  c->add_option("--taps", o->taps, "sites to write, as a glob: 'blocks.*.mssa.pattern'");
  c->add_flag("--grad", o->grad, "also the gradient of the loss for every parameter");
  c->add_flag("--official-names", o->official, "gradients under the authors' names");
  c->add_flag("--trace", o->trace, "print every operator: shape, time, flops, bytes");
  c->add_option("--dtype", o->dtype, "f32, or bf16: products on bf16 inputs")->capture_default_str();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
