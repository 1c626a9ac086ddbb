// table: how long the programs are that give a text back: the rows of crate mdl.
//
//   two-part      bits of the model's integers, entropy-coded at the width that makes the sum shortest, and of the text
//                 under them
//   prequential   sum_t -log2 p(x_t | what was learned before t), from the log of the training: a pass over as many
//                 bytes as the text has; what the training did not reach costs what the last bytes cost
//   model bits    sum_t (loss_t - loss at the end) of the same pass: what was learned, as the area of the learning
//   curve
//                 above its end (Finzi and others, 2601.03220)
//   saved         (bits under order 0 - bits under the model) / bits of the model
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crate {

/// A model's part of a row.
struct ModelLength {
  std::string family;
  int64_t dim = 0, layers = 0;
  double parameters = 0;
  double flops_a_byte = 0;  // forward, the whole context behind it
  double fp16_bits = 0, int8_bits = 0;
  int best = 8;                             // bits a weight of the shortest sum
  double best_bits = 0;                     // of the weights at that width
  double held_out = 0;                      // bits a byte of text it was not trained on, of the float model
  double prequential_bits = 0;              // 0: it was not trained
  double curve_bits = 0;                    // model bits
  double zero_codes = 0, zero_weights = 0;  // shares
};

struct LengthRow {
  std::string name, note;  // note: how it was sized
  double data_bits = 0;    // of the text, given the model; of a program all it wrote
  std::optional<ModelLength> model;
  double encode_speed = 0, decode_speed = 0;           // bytes a second of processor time; 0: not measured
  int64_t memory = 0;                                  // bytes, the larger of both ways
  std::string exact;                                   // where it was seen to give the same bytes back
  std::vector<std::pair<double, double>> points = {};  // (bytes of text, bits in all), for the figure

  double two_part_bits() const { return data_bits + (model ? model->best_bits : 0); }
};

struct LengthTable {
  int64_t bytes = 0;          // of the text
  int64_t sample = 0;         // of them were coded by the models, the rest is taken to cost the same
  int64_t decoder_bytes = 0;  // of the source that decodes under a model, zipped; 0: not at hand
  double order0_bits = 0;
  bool stopped = false;
  std::vector<LengthRow> rows;
  std::vector<std::string> skipped;  // programs that are not installed, and what to install

  double saved(const LengthRow& row) const;  // bits per bit of the model; 0: no model
};

std::string to_json(const LengthTable& table);
/// Bits a byte in all over the length of the text.
std::string lengths_svg(const LengthTable& table);

}  // namespace crate
