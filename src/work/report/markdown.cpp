// The report as Markdown: who leads in what, then every value.
#include <fmt/format.h>

#include <cmath>

#include "work/report/card.h"
#include "work/report/words.h"

namespace crate {
namespace {

std::string cell_text(const Cell* cell) {
  if (!cell) return "";
  const Interval i = bootstrap(cell->samples);
  return fmt::format("{} [{}, {}]", short_value(i.mean), short_value(i.low), short_value(i.high));
}

std::string excess_text(const Interval& i) {
  return fmt::format("{} [{}, {}]", signed_value(i.mean), signed_value(i.low), signed_value(i.high));
}

std::string headline(const ReportCard& card) {
  std::string out = fmt::format(
      "## Excess over the untrained copy\n\n| measure | {} | {} | difference | ahead |\n|---|---|---|---|---|\n",
      model_title(card, 0), model_title(card, 1));
  for (const Measure& m : measures()) {
    if (!m.headline || !has_excess(card, m)) continue;
    const Verdict v = verdict_on(card, m);
    out += fmt::format("| {}: {} | {} | {} | {} | {} |\n", m.group, m.title, excess_text(v.white), excess_text(v.twin),
                       excess_text(v.difference), ahead_text(card, v));
  }
  return out + "\n" + summary(card) + "\n";
}

std::string group_table(const ReportCard& card, const std::string& group) {
  std::string rows;
  for (const Measure& m : measures()) {
    if (group != m.group) continue;
    std::string row;
    bool any = false;
    for (const int model : {0, 1}) {
      for (const Variant v : variants) {
        const Cell* cell = card.find(m.id, model, v);
        any |= cell != nullptr;
        row += fmt::format(" {} |", cell_text(cell));
      }
    }
    if (any) rows += fmt::format("| {} |{}\n", m.title, row);
  }
  if (rows.empty()) return {};
  std::string head = fmt::format("## {}\n\n| measure |", group), rule = "|---|";
  for (const int model : {0, 1}) {
    for (const Variant v : variants) {
      head += fmt::format(" {}, {} |", model_title(card, model), name_of(v));
      rule += "---|";
    }
  }
  return head + "\n" + rule + "\n" + rows + "\n";
}

std::string layer_table(const ReportCard& card) {
  std::string rows;
  for (const Measure& m : measures()) {
    for (const int model : {0, 1}) {
      const Cell* cell = card.find(m.id, model, Variant::trained);
      if (!cell || !std::isfinite(cell->layer_mean(0))) continue;
      rows += fmt::format("| {} | {} |", m.title, model_title(card, model));
      for (int l = 0; l < most_layers(card); ++l) {
        const double mean = cell->layer_mean(l);
        rows += std::isfinite(mean) ? fmt::format(" {} |", short_value(mean)) : " |";
      }
      rows += "\n";
    }
  }
  if (rows.empty()) return {};
  std::string head = "## By layer (trained)\n\n| measure | model |", rule = "|---|---|";
  for (int l = 0; l < most_layers(card); ++l) head += fmt::format(" {} |", l), rule += "---|";
  return head + "\n" + rule + "\n" + rows + "\n";
}

}  // namespace

std::string to_markdown(const ReportCard& card) {
  std::string out = fmt::format("# Report card: {} beside {}\n\n", card.models[0].family, card.models[1].family);
  out +=
      "Means with 95 % bootstrap intervals over seeds and their items. Nobody judged these units but the text "
      "itself.\n\n";
  out += headline(card);
  std::string last;
  for (const Measure& m : measures()) {
    if (last != m.group) out += group_table(card, m.group);
    last = m.group;
  }
  out += layer_table(card);
  out += "## What was measured\n\n";
  for (const ReportedModel& m : card.models)
    out += fmt::format("- {}: {}, {} parameters, {} layers of {} units, {}\n", m.name, m.family, m.parameters, m.layers,
                       m.units, m.folders.size() == 1 ? "1 seed" : fmt::format("{} seeds", m.folders.size()));
  for (const auto& [key, value] : card.settings) out += fmt::format("- {}: {}\n", key, value);
  out += "\n";
  for (const Measure& m : measures()) {
    if (card.cells.contains(m.id)) out += fmt::format("- **{}** ({}): {}.\n", m.title, m.id, m.formula);
  }
  return out;
}

}  // namespace crate
