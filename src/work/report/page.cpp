// The report as one page: the tables of the Markdown, with the intervals drawn. It has no script.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "work/page/files.h"
#include "work/page/html.h"
#include "work/report/card.h"
#include "work/report/words.h"

namespace crate {
namespace {

struct Mark {
  Interval at;
  int model;   // 0 or 1
  char shape;  // 'o' filled, 'u' open circle (untrained), 'r' open square (rotated)
};

// Shapes are told apart without colour: filled, open, square; the second model's stand lower.
std::string mark_svg(double x, double y, const Mark& m) {
  const char* who = m.model == 0 ? "one" : "two";
  if (m.shape == 'r')
    return fmt::format("<rect class=\"{} open dot\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\"/>", who, x - 3.5,
                       y - 3.5);
  return fmt::format("<circle class=\"{}{} dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", who,
                     m.shape == 'u' ? " open" : "", x, y);
}

// Dots and intervals on a common scale; the zero line where it lies within.
std::string strip(const std::vector<Mark>& marks, bool with_zero) {
  double low = with_zero ? 0 : std::numeric_limits<double>::infinity(), high = with_zero ? 0 : -low;
  for (const Mark& m : marks) low = std::min(low, m.at.low), high = std::max(high, m.at.high);
  if (!(low <= high)) return {};
  if (low > 0 && low < 0.5 * high) low = 0;
  if (high < 0 && high > 0.5 * low) high = 0;
  if (high == low) high = low + 1;
  constexpr double width = 280, edge = 8, step = 11;
  const auto x = [&](double v) { return edge + (v - low) / (high - low) * (width - 2 * edge); };
  const double height = step * static_cast<double>(marks.size()) + 3;
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" aria-label=\"intervals, as in the row\">",
                                width, height);
  if (low <= 0 && high >= 0)
    out += fmt::format("<line class=\"zero\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.0f}\"/>", x(0), height);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const Mark& m = marks[i];
    const double y = step * (static_cast<double>(i) + 0.5) + 1.5;
    out += fmt::format("<line class=\"{} span\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                       m.model == 0 ? "one" : "two", x(m.at.low), x(m.at.high), y, y);
    out += mark_svg(x(m.at.mean), y, m);
  }
  return out + "</svg>";
}

std::string value_cell(const Interval& i, bool with_sign) {
  const auto text = [&](double v) { return with_sign ? signed_value(v) : short_value(v); };
  return fmt::format("<td class=\"number\">{}<span class=\"range\">{} … {}</span></td>", text(i.mean), text(i.low),
                     text(i.high));
}

std::string excess_table(const ReportCard& card) {
  std::string rows;
  for (const Measure& m : measures()) {
    if (!m.headline || !has_excess(card, m)) continue;
    const Verdict v = verdict_on(card, m);
    rows += fmt::format(
        "<tr><th scope=\"row\">{}<p>{}</p></th>{}{}<td class=\"strip\">{}</td>{}<td class=\"{}\">{}</td></tr>",
        html_text(m.title), html_text(m.group), value_cell(v.white, true), value_cell(v.twin, true),
        strip({{v.white, 0, 'o'}, {v.twin, 1, 'o'}}, true), value_cell(v.difference, true),
        v.ahead < 0 ? "quiet" : "won", html_text(ahead_text(card, v)));
  }
  return fmt::format(
      "<table><thead><tr><th scope=\"col\">measure</th><th scope=\"col\" class=\"number\">{}</th><th scope=\"col\" "
      "class=\"number\">{}</th><th scope=\"col\"></th><th scope=\"col\" class=\"number\">difference</th><th "
      "scope=\"col\">ahead</th></tr></thead><tbody>{}</tbody></table>",
      html_text(model_title(card, 0)), html_text(model_title(card, 1)), rows);
}

std::string group_row(const ReportCard& card, const Measure& m) {
  std::vector<Mark> marks;
  std::string cells;
  for (const int model : {0, 1}) {
    for (const Variant v : variants) {
      const Cell* cell = card.find(m.id, model, v);
      if (!cell) {
        cells += "<td></td>";
        continue;
      }
      const Interval i = bootstrap(cell->samples);
      cells += value_cell(i, false);
      marks.push_back({i, model, v == Variant::trained ? 'o' : v == Variant::untrained ? 'u' : 'r'});
    }
  }
  if (marks.empty()) return {};
  return fmt::format("<tr><th scope=\"row\">{}<p>{}</p></th>{}<td class=\"strip\">{}</td></tr>", html_text(m.title),
                     html_text(m.formula), cells, strip(marks, false));
}

std::string groups(const ReportCard& card) {
  std::string head = "<table><thead><tr><th scope=\"col\">measure</th>";
  for (const int model : {0, 1}) {
    for (const Variant v : variants)
      head += fmt::format("<th scope=\"col\" class=\"number\">{}<br>{}</th>", html_text(model_title(card, model)),
                          name_of(v));
  }
  head += "<th scope=\"col\"></th></tr></thead><tbody>";
  std::string out, rows;
  const auto& list = measures();
  for (std::size_t i = 0; i < list.size(); ++i) {
    rows += group_row(card, list[i]);
    if (i + 1 < list.size() && std::string_view(list[i].group) == list[i + 1].group) continue;
    if (!rows.empty())
      out += fmt::format("<section><h2>{}</h2><div class=\"scroll\">{}{}</tbody></table></div></section>\n",
                         html_text(list[i].group), head, rows);
    rows.clear();
  }
  return out;
}

std::string layer_table(const ReportCard& card) {
  std::string out = "<table><thead><tr><th scope=\"col\">measure</th><th scope=\"col\">model</th>";
  for (int l = 0; l < most_layers(card); ++l) out += fmt::format("<th scope=\"col\" class=\"number\">layer {}</th>", l);
  out += "</tr></thead><tbody>";
  for (const Measure& m : measures()) {
    for (const int model : {0, 1}) {
      const Cell* cell = card.find(m.id, model, Variant::trained);
      if (!cell || !std::isfinite(cell->layer_mean(0))) continue;
      out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>", html_text(m.title),
                         html_text(model_title(card, model)));
      for (int l = 0; l < most_layers(card); ++l) {
        const double mean = cell->layer_mean(l);
        out += fmt::format("<td class=\"number\">{}</td>", std::isfinite(mean) ? short_value(mean) : "");
      }
      out += "</tr>";
    }
  }
  return out + "</tbody></table>";
}

std::string settings(const ReportCard& card) {
  std::string rows;
  const auto row = [&](const std::string& key, const std::string& value) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", html_text(key), value);
  };
  for (const ReportedModel& m : card.models) {
    std::string folders;
    for (std::size_t i = 0; i < m.folders.size(); ++i)
      folders += fmt::format("<br><code>{}</code> weights <code>{}</code>", html_text(m.folders[i]),
                             html_text(m.hashes[i].substr(0, 16)));
    row(m.name, fmt::format("{}, {} parameters, {} layers of {} units{}", html_text(m.family), m.parameters, m.layers,
                            m.units, folders));
  }
  for (const auto& [key, value] : card.settings) row(key, html_text(value));
  return "<table><tbody>" + rows + "</tbody></table>";
}

std::string key(const ReportCard& card) {
  std::string out;
  const auto one = [&](int model, char shape, const std::string& text) {
    out += fmt::format(
        "<span><svg width=\"12\" height=\"12\" viewBox=\"0 0 12 12\" aria-hidden=\"true\">{}</svg>{}</span>",
        mark_svg(6, 6, {{}, model, shape}), html_text(text));
  };
  for (const int model : {0, 1}) {
    one(model, 'o', model_title(card, model) + ", trained");
    one(model, 'u', "untrained");
    one(model, 'r', "rotated");
  }
  return out;
}

}  // namespace

std::string to_html(const ReportCard& card) {
  const std::string style = std::string(web_file("page.css")) + std::string(web_file("report.css"));
  const std::string heading = fmt::format("Report card: {} beside {}", card.models[0].family, card.models[1].family);
  return fill_template(web_file("report.html"), {{"policy", content_policy(style, "")},
                                                 {"title", html_text(heading)},
                                                 {"style", style},
                                                 {"heading", html_text(heading)},
                                                 {"summary", html_text(summary(card))},
                                                 {"key", key(card)},
                                                 {"excess", excess_table(card)},
                                                 {"groups", groups(card)},
                                                 {"by_layer", layer_table(card)},
                                                 {"settings", settings(card)}});
}

}  // namespace crate
