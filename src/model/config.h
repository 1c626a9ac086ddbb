// config: everything that shapes a model, and nothing else. Written as config.json beside the weights.
//
// Families of text: crate-gpt (square dictionary), crate-lm (overcomplete dictionary), gpt2 (GELU), gpt-relu.
// Families of images: crate (square dictionary), crate-alpha (overcomplete, decoupled, residual), vit (GELU);
// crate-mae and vit-mae, masked auto-encoders.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

enum class Family : uint8_t { crate_gpt, crate_lm, gpt2, gpt_relu, crate, crate_alpha, vit, crate_mae, vit_mae };

const char* name_of(Family family);       // "crate-lm"
Family family_of(std::string_view name);  // also reads "crate_lm"; throws on an unknown name
bool is_family(std::string_view name);
bool is_white_box(Family family);
bool is_image(Family family);         // reads images, not tokens
bool is_autoencoder(Family family);   // crate-mae, vit-mae
bool has_square_code(Family family);  // the second half is ops/ista
bool has_wide_code(Family family);    // the second half is ops/ista_wide
std::string family_names();           // "crate-gpt, crate-lm, ..."

enum class Pooling : uint8_t { cls, mean };
enum class Positions : uint8_t { learned, sincos, none };

/// What only models of images have.
struct ImageConfig {
  int64_t height = 224, width = 224, channels = 3;
  int64_t patch = 16;       // rows of a patch
  int64_t patch_width = 0;  // its columns; 0 = patch
  int64_t classes = 1000;   // 0: no head
  bool class_token = true;
  Pooling pooling = Pooling::cls;
  Positions positions = Positions::learned;
  bool patch_norm = true;                            // crate: patches are normed before and after their product
  std::vector<double> mean = {0.485, 0.456, 0.406};  // of the input's channels, before it reaches the model
  std::vector<double> std = {0.229, 0.224, 0.225};

  // Auto-encoders.
  double mask_ratio = 0.75;    // of the patches
  bool norm_pix = false;       // targets are patches with mean 0 and variance 1
  int64_t decoder_dim = 0;     // 0 = dim
  int64_t decoder_layers = 0;  // 0 = layers
  int64_t decoder_heads = 0;   // 0 = heads

  int64_t patch_columns() const { return patch_width > 0 ? patch_width : patch; }
  int64_t patch_numbers() const { return channels * patch * patch_columns(); }
  int64_t rows() const { return height / patch; }  // of the grid of patches
  int64_t columns() const { return width / patch_columns(); }
  int64_t patches() const { return rows() * columns(); }
  int64_t tokens() const { return patches() + (class_token ? 1 : 0); }
  /// Patches of n that an auto-encoder does not mask.
  int64_t kept(int64_t n) const { return static_cast<int64_t>(static_cast<double>(n) * (1 - mask_ratio)); }
};

struct ModelConfig {
  Family family = Family::crate_lm;
  int64_t dim = 128;       // d; a multiple of heads unless head_width is given
  int64_t heads = 4;       // k
  int64_t head_width = 0;  // p; 0 = dim / heads
  int64_t layers = 4;
  int64_t vocab = 257;    // V
  int64_t context = 256;  // longest sequence
  int64_t atoms = 0;      // m: codes of ista_wide or hidden units of the mlp; 0 = 4 d
  double norm_eps = 1e-5;
  double final_norm_eps = 0;  // of the norms outside the blocks' stack; 0 = norm_eps
  double dropout = 0;

  // The sparse-coding half. eta and lambda hold one number a layer, or one for all.
  std::vector<double> eta = {0.1};
  std::vector<double> lambda = {0.1};
  int ista_steps = 0;              // 0 = family default: 1 for the square dictionary, 2 for the wide one
  bool learn_eta = false;          // one learned step a layer
  bool learn_lambda = false;       // one learned threshold a layer
  bool lambda_per_atom = false;    // with learn_lambda: one an atom
  bool ista_residual = false;      // add the stream around the half
  bool untied_dictionary = false;  // wide dictionaries: a separate read-out dictionary

  // The attention half.
  bool qk_norm = false;  // RMS-normalised scores with a learned temperature a head
  bool rotary = false;   // rotary positions on the scores
  double rotary_base = 10000;
  bool shift = false;      // mix the previous token into the key copy
  bool direction = false;  // a learned complex factor a pair of channels on the key copy
  bool metric = false;     // a learned bilinear form a head between the coordinates of two tokens
  bool relay = false;      // a head weighs by its subspace and moves the coordinates in the next
  bool trace = false;      // coordinates carry a learned share of the token before's
  bool exclusive = false;  // remove each head output's part along its own projection

  bool learned_positions = true;  // the position table
  bool bias = true;               // twins: biases of norms and products; crate: of norms and the attention output
  bool qkv_bias = true;           // twins: with bias, also at query, key and value
  bool layer_scale = false;       // twins: gamma on both halves
  bool sparse_start = false;  // gpt-relu, vit: hidden units are ReLUs that begin as crate-one's atoms do (init.cpp),
                              // with eta and lambda
  bool tied_head = true;      // the head reads with the token embedding

  ImageConfig image;  // of image families only

  int64_t head_dim() const { return head_width > 0 ? head_width : dim / heads; }
  int64_t attention_width() const { return heads * head_dim(); }
  /// crate-alpha's attention writes into the stream without a bias.
  bool attention_bias() const { return bias && family != Family::crate_alpha; }
  /// Their image code leaves the product after attention out when there is one head as wide as the stream.
  bool attention_output() const;
  /// The twins' hidden units are ReLUs, not GELUs.
  bool relu_units() const { return family == Family::gpt_relu || (family == Family::vit && sparse_start); }
  int64_t n_atoms() const;  // d for square dictionaries, else atoms or 4 d
  int steps() const;
  bool final_norm() const { return family != Family::crate_gpt; }
  double last_norm_eps() const { return final_norm_eps > 0 ? final_norm_eps : norm_eps; }
  double eta_of(int64_t layer) const;
  double lambda_of(int64_t layer) const;

  /// Throws Error naming the field that does not fit.
  void validate() const;
};

/// The decoder of an auto-encoder as a stack of blocks: its width, heads and layers in place of the encoder's.
ModelConfig decoder_of(const ModelConfig& config);
/// The classifier whose embedding and blocks are those of this auto-encoder's encoder: the same names and shapes.
ModelConfig classifier_of(const ModelConfig& autoencoder, int64_t classes);

/// A configuration of this family with what its authors chose where families differ: eps, thresholds, options.
ModelConfig config_of(Family family);
/// crate-one, "one projection, one step" (docs/math.md): crate-lm with the options that closed the gap to its black-box
/// twin. Heads, their width and the number of atoms stay as they are. As the name of a family it can stand in recipes;
/// a model's own file names crate-lm and every option.
void choose_crate_one(ModelConfig& config);
/// The same block for images, where tokens have no order: crate-alpha without rotary scores and direction.
void choose_crate_one_vision(ModelConfig& config);

/// JSON with every field that the family has; reading refuses unknown keys by name and leaves out nothing silently but
/// defaults.
std::string to_json(const ModelConfig& config);
ModelConfig config_from_json(std::string_view text, std::string_view where);

/// Sets one field from text ("dim", "384"); lists: "[0.1, 0.2]"; groups: "image.patch". Throws on unknown names and bad
/// values. Setting "family" also sets what the families' authors chose differently (see config_of), so it comes first.
void set_field(ModelConfig& config, std::string_view name, std::string_view value);
std::vector<std::string> field_names();

}  // namespace crate
