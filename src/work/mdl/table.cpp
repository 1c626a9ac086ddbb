#include "work/mdl/table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "work/draw/chart.h"

namespace crate {
namespace {

using nlohmann::json;

json to_json_of(const LengthTable& table, const LengthRow& row) {
  json out{{"name", row.name},
           {"note", row.note},
           {"raw_bits", 8 * table.bytes},
           {"data_bits", row.data_bits},
           {"two_part_bits", row.two_part_bits()},
           {"encode_bytes_per_second", row.encode_speed},
           {"decode_bytes_per_second", row.decode_speed},
           {"peak_memory_bytes", row.memory},
           {"exact", row.exact},
           {"points", row.points}};
  if (!row.model) return out;
  const ModelLength& m = *row.model;
  out["model"] = {{"family", m.family},
                  {"dim", m.dim},
                  {"layers", m.layers},
                  {"parameters", m.parameters},
                  {"flops_per_byte", m.flops_a_byte},
                  {"fp16_bits", m.fp16_bits},
                  {"int8_bits", m.int8_bits},
                  {"best_width", m.best},
                  {"best_bits", m.best_bits},
                  {"held_out_bits_per_byte", m.held_out},
                  {"prequential_bits", m.prequential_bits},
                  {"model_bits", m.curve_bits},
                  {"saved_per_model_bit", table.saved(row)},
                  {"zero_codes", m.zero_codes},
                  {"zero_weights", m.zero_weights}};
  return out;
}

}  // namespace

double LengthTable::saved(const LengthRow& row) const {
  return row.model && row.model->best_bits > 0 ? (order0_bits - row.data_bits) / row.model->best_bits : 0;
}

std::string to_json(const LengthTable& table) {
  json rows = json::array();
  for (const LengthRow& row : table.rows) rows.push_back(to_json_of(table, row));
  return json{{"bytes", table.bytes},
              {"sample", table.sample},
              {"decoder_source_zipped_bytes", table.decoder_bytes},
              {"order0_bits", table.order0_bits},
              {"stopped", table.stopped},
              {"skipped", table.skipped},
              {"rows", rows}}
      .dump(2);
}

std::string lengths_svg(const LengthTable& table) {
  Chart chart{"the text and what decodes it", "MB of text", "bits a byte, model included", {}, true, false};
  for (const LengthRow& row : table.rows) {
    Line line{row.note.empty() ? row.name : row.name + ", " + row.note, {}, {}, true};
    for (const auto& [bytes, bits] : row.points) line.points.emplace_back(bytes / 1e6, bits / bytes);
    if (!line.points.empty()) chart.lines.push_back(std::move(line));
  }
  return svg_of(chart);
}

}  // namespace crate
