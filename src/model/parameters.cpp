#include "model/parameters.h"

namespace crate {
namespace {

enum class Kind : uint8_t { matrix, dictionary, vector, table };

// Whose weight decays. CRATE's code decays everything; CRATE-alpha's only products' kernels, no dictionaries; the
// auto-encoders' all but norms and biases; the others' products, and in models of text the tables of embeddings.
bool decays(Family family, Kind kind) {
  switch (family) {
    case Family::crate:
      return true;
    case Family::crate_alpha:
      return kind == Kind::matrix;
    case Family::vit:
      return kind == Kind::matrix;
    default:
      return kind != Kind::vector;
  }
}

class List {
 public:
  explicit List(const ModelConfig& config) : c_(config) {}
  void add(std::string name, Shape shape, Kind kind) {
    list_.push_back({std::move(name), shape, decays(c_.family, kind)});
  }
  void matrix(std::string name, int64_t out, int64_t in) { add(std::move(name), {out, in}, Kind::matrix); }
  void dictionary(std::string name, int64_t m, int64_t d) { add(std::move(name), {m, d}, Kind::dictionary); }
  void vector(std::string name, int64_t n) { add(std::move(name), {n}, Kind::vector); }
  /// Vectors that stand for tokens: embeddings, positions, class and mask token.
  void table(std::string name, Shape shape) { add(std::move(name), shape, Kind::table); }
  void norm(const std::string& name, int64_t n) {
    vector(name + ".scale", n);
    if (c_.bias) vector(name + ".shift", n);
  }
  std::vector<ParameterShape> take() { return std::move(list_); }

 private:
  const ModelConfig& c_;
  std::vector<ParameterShape> list_;
};

void add_attention(List& list, const ModelConfig& c, const std::string& block, const char* norm = "norm1") {
  const bool white = is_white_box(c.family);
  const int64_t width = c.attention_width();
  const std::string at = block + (white ? "mssa." : "mha.");
  list.norm(block + norm, c.dim);
  list.matrix(at + (white ? "u" : "qkv"), white ? width : 3 * width, c.dim);
  if (c.bias && c.qkv_bias && !white) list.vector(at + "qkv_bias", 3 * width);
  if (c.qk_norm) list.vector(at + "temperature", c.heads);
  if (c.shift && white) list.vector(at + "shift", width);
  if (c.direction && white) list.vector(at + "direction", width);
  if (c.metric && white) {
    list.matrix(at + "metric_q", width, c.head_dim());
    list.matrix(at + "metric_k", width, c.head_dim());
  }
  if (c.trace && white) list.vector(at + "trace", width);
  if (c.attention_output()) {
    list.matrix(at + "w", c.dim, width);
    if (c.attention_bias()) list.vector(at + "w_bias", c.dim);
  }
  if (c.layer_scale) list.vector(block + "gamma1", c.dim);
}

void add_second_half(List& list, const ModelConfig& c, const std::string& block) {
  list.norm(block + "norm2", c.dim);
  const int64_t m = c.n_atoms();
  if (is_white_box(c.family)) {
    list.dictionary(block + "ista.dict", m, c.dim);
    if (c.untied_dictionary) list.dictionary(block + "ista.dict_out", m, c.dim);
    if (c.learn_eta) list.vector(block + "ista.eta", 1);
    if (c.learn_lambda) list.vector(block + "ista.lambda", c.lambda_per_atom ? m : 1);
  } else {
    list.matrix(block + "mlp.w_in", m, c.dim);
    if (c.bias) list.vector(block + "mlp.b_in", m);
    list.matrix(block + "mlp.w_out", c.dim, m);
    if (c.bias) list.vector(block + "mlp.b_out", c.dim);
  }
  if (c.layer_scale) list.vector(block + "gamma2", c.dim);
}

void add_blocks(List& list, const ModelConfig& c, const std::string& prefix) {
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string block = fmt::format("{}{}.", prefix, i);
    add_attention(list, c, block);
    add_second_half(list, c, block);
  }
}

void add_image_embedding(List& list, const ModelConfig& c) {
  const ImageConfig& image = c.image;
  if (image.patch_norm) list.norm("embed.patch_norm", image.patch_numbers());
  list.matrix("embed.patch", c.dim, image.patch_numbers());
  if (c.bias) list.vector("embed.patch_bias", c.dim);
  if (image.patch_norm) list.norm("embed.norm", c.dim);
  if (image.class_token) list.table("embed.cls", {c.dim});
  if (image.positions != Positions::none) list.table("embed.pos", {image.tokens(), c.dim});
}

// crate-mae: mirrored blocks as wide as the encoder, reading its mask tokens and positions. vit-mae: a narrower
// transformer with its own, behind a product.
void add_decoder(List& list, const ModelConfig& c) {
  const ModelConfig decoder = decoder_of(c);
  const bool mirrored = c.family == Family::crate_mae;
  if (!mirrored) {
    list.matrix("decoder.embed", decoder.dim, c.dim);
    list.vector("decoder.embed_bias", decoder.dim);
  }
  list.table("decoder.mask", {decoder.dim});
  if (!mirrored) list.table("decoder.pos", {c.image.tokens(), decoder.dim});
  for (int64_t i = 0; mirrored && i < decoder.layers; ++i) {
    const std::string block = fmt::format("decoder.blocks.{}.", i);
    list.norm(block + "norm1", c.dim);
    list.matrix(block + "linear", c.dim, c.dim);
    add_attention(list, decoder, block, "norm2");
  }
  if (!mirrored) add_blocks(list, decoder, "decoder.blocks.");
  list.norm("decoder.norm", decoder.dim);
  list.matrix("decoder.pred", c.image.patch_numbers(), decoder.dim);
  list.vector("decoder.pred_bias", c.image.patch_numbers());
}

}  // namespace

std::vector<ParameterShape> parameter_shapes(const ModelConfig& c) {
  List list(c);
  if (is_image(c.family)) {
    add_image_embedding(list, c);
  } else {
    list.table("embed.tokens", {c.vocab, c.dim});
    if (c.learned_positions) list.table("embed.pos", {c.context, c.dim});
  }
  add_blocks(list, c, "blocks.");
  if (c.final_norm()) list.norm("norm", c.dim);
  if (is_autoencoder(c.family)) add_decoder(list, c);
  if (is_image(c.family)) {
    if (c.image.classes > 0) list.matrix("head.weight", c.image.classes, c.dim);
    if (c.image.classes > 0 && c.bias) list.vector("head.bias", c.image.classes);
  } else if (!c.tied_head) {
    list.matrix("head.weight", c.vocab, c.dim);
  }
  return list.take();
}

bool is_fixed(const ModelConfig& c, std::string_view name) {
  return is_image(c.family) && c.image.positions == Positions::sincos && (name == "embed.pos" || name == "decoder.pos");
}

ParameterCount count_parameters(const ModelConfig& config) {
  ParameterCount count;
  for (const auto& [name, shape, decay] : parameter_shapes(config)) {
    count.all += shape.numel();
    if (name != "embed.pos" && name != "decoder.pos") count.without_positions += shape.numel();
  }
  return count;
}

}  // namespace crate
