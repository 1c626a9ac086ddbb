// config: everything that shapes a model, and nothing else. Written as config.json beside the weights.
//
// Families: crate-gpt (square dictionary), crate-lm (overcomplete dictionary), gpt2 (GELU), gpt-relu.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

enum class Family : uint8_t { crate_gpt, crate_lm, gpt2, gpt_relu };

const char* name_of(Family family);       // "crate-lm"
Family family_of(std::string_view name);  // also reads "crate_lm"; throws on an unknown name
bool is_family(std::string_view name);
bool is_white_box(Family family);

struct ModelConfig {
  Family family = Family::crate_lm;
  int64_t dim = 128;  // d, a multiple of heads
  int64_t heads = 4;  // k
  int64_t layers = 4;
  int64_t vocab = 257;    // V
  int64_t context = 256;  // longest sequence
  int64_t atoms = 0;      // m: codes of ista_wide or hidden units of the mlp; 0 = 4 d
  double norm_eps = 1e-5;
  double dropout = 0;

  // The sparse-coding half. eta and lambda hold one number a layer, or one for all.
  std::vector<double> eta = {0.1};
  std::vector<double> lambda = {0.1};
  int ista_steps = 0;              // 0 = family default: 1 for the square dictionary, 2 for the wide one
  bool learn_eta = false;          // one learned step a layer
  bool learn_lambda = false;       // one learned threshold a layer
  bool lambda_per_atom = false;    // with learn_lambda: one an atom
  bool ista_residual = false;      // add the stream around the half
  bool untied_dictionary = false;  // crate-lm: a separate read-out dictionary

  // The attention half.
  bool qk_norm = false;  // RMS-normalised scores with a learned temperature a head
  bool rotary = false;   // rotary positions on the scores
  double rotary_base = 10000;
  bool shift = false;      // mix the previous token into the key copy
  bool exclusive = false;  // remove each head output's part along its own projection

  bool learned_positions = true;  // the position table
  bool bias = true;               // twins: biases of norms and products; crate: of the attention output
  bool layer_scale = false;       // twins: gamma on both halves
  bool tied_head = true;          // the head reads with the token embedding

  int64_t head_dim() const { return dim / heads; }
  int64_t n_atoms() const;  // d for crate-gpt, else atoms or 4 d
  int steps() const;
  bool final_norm() const { return family != Family::crate_gpt; }
  double eta_of(int64_t layer) const;
  double lambda_of(int64_t layer) const;

  /// Throws Error naming the field that does not fit.
  void validate() const;
};

/// JSON with every field; reading refuses unknown keys by name and leaves out nothing silently but defaults.
std::string to_json(const ModelConfig& config);
ModelConfig config_from_json(std::string_view text, std::string_view where);

/// Sets one field from text ("dim", "384"); lists: "[0.1, 0.2]". Throws on unknown names and bad values.
void set_field(ModelConfig& config, std::string_view name, std::string_view value);

}  // namespace crate
