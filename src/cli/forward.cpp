// crate forward: tensors in, tensors out: logits, predictions, loss, inner values, gradients.
#include <fnmatch.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/trace.h"
#include "model/checkpoint.h"
#include "model/names.h"
#include "ops/patches.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, in, out, taps, dtype = "f32";
  bool grad = false, official = false, trace = false;
  double smoothing = 0;
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
  // The gradient of p under the authors' name and in their layout.
  void add_official(const ModelConfig& config, const std::string& name, const Param& p) {
    add("grad/" + name, p.grad);
    TensorToWrite& out = tensors_.back();
    out.shape = official_shape(config, p.name, p.grad.shape);
    if (layout_of(config.family, p.name) != Layout::transposed) return;
    buffers_.back() = transposed(out.bytes, p.grad.rows(), p.grad.cols(), size_of(p.grad.dtype));
    out.bytes = buffers_.back();
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

// The tensors of the input file, as tensors that live as long as this.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path), file_(read_safetensors(path)) {}

  const Array* find(const std::string& name) const {
    for (const std::string& key : {name, "in/" + name}) {
      const auto it = file_.tensors.find(key);
      if (it != file_.tensors.end()) return &it->second;
    }
    return nullptr;
  }
  const Array& at(const std::string& name) const {
    const Array* found = find(name);
    require(found != nullptr, "{} holds no tensor '{}' (nor 'in/{}')", path_, name, name);
    return *found;
  }
  Tensor tokens(const std::string& name) {
    const Array& a = at(name);
    require(a.shape.size() == 2, "{} must be (batch, n), came {}", name, a.shape_str());
    std::vector<int32_t>& out = whole_.emplace_back();
    for (const int64_t t : a.to_i64()) {
      require(t >= INT32_MIN && t <= INT32_MAX, "{}: {} does not fit 32 bits", name, t);
      out.push_back(static_cast<int32_t>(t));
    }
    return {out.data(), {a.shape[0], a.shape[1]}, Dtype::i32};
  }
  Tensor numbers(const std::string& name, std::size_t rank) {
    const Array& a = at(name);
    require(a.shape.size() == rank, "{} must have {} dimensions, came {}", name, rank, a.shape_str());
    std::vector<float>& out = real_.emplace_back(a.to_f32());
    const Shape shape =
        rank == 4 ? Shape{a.shape[0], a.shape[1], a.shape[2], a.shape[3]} : Shape{a.shape[0], a.shape[1]};
    return {out.data(), shape, Dtype::f32};
  }
  // Soft targets (b, classes) as they are, or labels (b) with `smoothing` of their weight spread over all classes; in
  // the numbers of the device, since 0.1 is no float.
  Tensor targets(int64_t classes, double smoothing, Dtype real) {
    if (find("targets")) return numbers("targets", 2);
    const Array& a = at("labels");
    require(a.shape.size() == 1, "labels must be (batch), came {}", a.shape_str());
    std::vector<double> soft(static_cast<std::size_t>(a.numel() * classes), smoothing / static_cast<double>(classes));
    std::size_t row = 0;
    for (const int64_t label : a.to_i64()) {
      require(label >= 0 && label < classes, "label {} lies outside the {} classes of the model", label, classes);
      soft[row + static_cast<std::size_t>(label)] += 1 - smoothing;
      row += static_cast<std::size_t>(classes);
    }
    const Shape shape{a.shape[0], classes};
    if (real == Dtype::f64) return {exact_.emplace_back(std::move(soft)).data(), shape, Dtype::f64};
    return {real_.emplace_back(soft.begin(), soft.end()).data(), shape, Dtype::f32};
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  SafetensorsFile file_;
  std::deque<std::vector<int32_t>> whole_;
  std::deque<std::vector<float>> real_;
  std::deque<std::vector<double>> exact_;
};

// A copy of pixels that the run differentiates, in its real dtype.
Tensor followed(Run& run, const Tensor& pixels) {
  const Tensor out = run.make(pixels.shape);
  const float* from = pixels.as<float>();
  if (out.dtype == Dtype::f32)
    std::copy_n(from, pixels.numel(), out.as<float>());
  else
    visit_ref(out.dtype, [&](auto zero) { std::copy_n(from, pixels.numel(), out.as<decltype(zero)>()); });
  if (run.recording()) run.keep_grad(out);
  return out;
}

class Forward {
 public:
  Forward(const Options& o, Model& model, Input& input, Output& out)
      : o_(o), model_(model), input_(input), out_(out), tap_(o.taps, out) {}

  void text(LanguageModel& model) {
    const bool lossy = input_.find("targets") != nullptr;
    const Tensor tokens = input_.tokens("tokens");
    look(lossy, [&](Run& run) { out_.add("logits", model.logits(run, tokens)); });
    if (!lossy) return no_loss("targets");
    const Tensor targets = input_.tokens("targets");
    require(targets.shape == tokens.shape, "targets must be {} like the tokens, came {}", tokens.shape.str(),
            targets.shape.str());
    learn([&](Run& run) { return model.loss(run, tokens, targets).loss; });
  }

  void images(VisionModel& model) {
    const bool lossy = input_.find("targets") || input_.find("labels");
    const Tensor pixels = input_.numbers("images", 4);
    const bool head = model.config().image.classes > 0;
    look(lossy, [&](Run& run) {
      out_.add(head ? "logits" : "features", head ? model.logits(run, pixels) : model.features(run, pixels));
    });
    if (!lossy) return no_loss("labels");
    const Tensor targets = input_.targets(model.config().image.classes, o_.smoothing, model.device().real());
    learn([&](Run& run) {
      images_ = followed(run, pixels);
      return model.loss(run, images_, targets).loss;
    });
  }

  void autoencoder(MaeModel& model) {
    const Tensor pixels = input_.numbers("images", 4), noise = input_.numbers("noise", 2);
    look(true, [&](Run& run) {
      const MaeOutput out = model.forward(run, pixels, noise);
      out_.add("pred", out.pred);
      out_.add("mask", out.mask);
      const ImageConfig& image = model.config().image;
      const PatchArgs cut{image.patch, image.patch_columns(), PatchOrder::row_column_channel};
      const Shape& s = pixels.shape;
      out_.add("reconstruction", unpatches(run, out.pred, s[1], s[2], s[3], cut));
      out_.add("pictures", model.pictures(run, pixels, out));
    });
    learn([&](Run& run) {
      images_ = followed(run, pixels);
      return model.forward(run, images_, noise).loss;
    });
  }

 private:
  void no_loss(const char* name) const {
    require(!o_.grad, "--grad needs a loss, and {} holds no tensor '{}'", input_.path(), name);
  }
  template <class F> void look(bool a_loss_follows, F&& f) {
    Run run(model_.device(), {.trace = o_.trace && !a_loss_follows, .tap = o_.taps.empty() ? nullptr : &tap_});
    f(run);
    if (run.options().trace) print_trace(run);
  }
  template <class F> void learn(F&& f) {
    if (o_.grad) model_.store().allocate_grads();
    Run run(model_.device(), {.record = o_.grad, .trace = o_.trace});
    const Tensor loss = f(run);
    out_.add_scalar("loss", loss);
    if (o_.grad) {
      run.backward(loss);
      add_gradients(run);
    }
    if (o_.trace) print_trace(run);
  }
  void add_gradients(Run& run) {
    for (const Param& p : model_.store().all()) {
      if (!p.has_grad) continue;
      const std::string official = o_.official ? official_name(model_.config().family, p.name) : "";
      if (official.empty())
        out_.add("grad/" + p.name, p.grad);
      else
        out_.add_official(model_.config(), official, p);
    }
    if (images_) out_.add("grad_in/images", run.grad_of(images_));
  }

  const Options& o_;
  Model& model_;
  Input& input_;
  Output& out_;
  GlobTap tap_;
  Tensor images_;  // of the run that learns
};

void run(const Options& o) {
  Device device(o.device_options(o.dtype));
  const auto model = load_model(device, o.model);
  Input input(o.in);
  Output out;
  Forward forward(o, *model, input, out);
  if (auto* text = dynamic_cast<LanguageModel*>(model.get()))
    forward.text(*text);
  else if (auto* images = dynamic_cast<VisionModel*>(model.get()))
    forward.images(*images);
  else
    forward.autoencoder(dynamic_cast<MaeModel&>(*model));
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
      app, "forward", "run a model on a batch from a file; write logits, loss, inner values, gradients",
      "crate forward out/m --in batch.safetensors --out result.safetensors --taps 'blocks.*.ista.code' --grad", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option(
       "--in", o->in,
       "safetensors with `tokens` I32/I64 (b, n) and, for a loss, `targets` (-1: not counted); for images `images` "
       "(b, c, h, w), normalised, and `labels` (b) or soft `targets` (b, classes); auto-encoders: `images` and "
       "`noise` (b, patches)")
      ->required();
  c->add_option("--out", o->out,
                "safetensors to write: logits, loss, tap/<site>, grad/<name>, grad_in/images; pred, mask, "
                "reconstruction, pictures; F64 "
                "with --device ref")
      ->required();
  c->add_option("--taps", o->taps, "sites to write, as a glob: 'blocks.*.mssa.pattern'");
  c->add_flag("--grad", o->grad, "also the gradient of the loss for every parameter");
  c->add_flag("--official-names", o->official, "gradients under the authors' names, in their layouts");
  c->add_option("--label-smoothing", o->smoothing,
                "of images' labels: this much of the weight is spread over all classes")
      ->check(CLI::Range(0.0, 1.0));
  c->add_flag("--trace", o->trace, "print every operator: shape, time, flops, bytes");
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
