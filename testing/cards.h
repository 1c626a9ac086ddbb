// cards: a report card with values made up for the tests of its pages: the model leads in the first measure, the twin
// in the second, in the others they are alike.
#pragma once
#include "base/rng.h"
#include "work/report/card.h"

namespace crate {

inline ReportCard example_card(int seeds = 3) {
  ReportCard card;
  card.models[0] = {"model", "crate-lm", {}, {}, 924160, 4, 512};
  card.models[1] = {"twin", "gpt-relu", {}, {}, 1318912, 4, 512};
  for (auto& m : card.models) {
    for (int s = 0; s < seeds; ++s) {
      m.folders.push_back(m.family + "/seed-" + std::to_string(s) + "<b>");
      m.hashes.push_back(std::string(64, 'c'));
    }
  }
  card.settings = {{"text", "wiki <script>"}, {"read", "512 windows of 128 tokens"}};
  const Rng rng(3, Stream::test);
  int number = 0;
  for (const Measure& measure : measures()) {
    for (const int m : {0, 1}) {
      for (const Variant v : variants) {
        if (v == Variant::rotated && std::string_view(measure.group) == "Faithfulness") continue;
        const double lead = (number == 0 || measure.headline) && v == Variant::trained
                                ? (number % 7 == 1 && m == 0) || (number % 7 == 2 && m == 1) ? 0.4 : 0.2
                                : 0;
        for (int s = 0; s < seeds; ++s) {
          std::vector<double> items;
          for (uint64_t i = 0; i < 40; ++i)
            items.push_back(0.4 + lead + 0.1 * rng.normal(static_cast<uint64_t>(number * 100 + m * 50 + s), i));
          card.add_layers(measure.id, m, v, std::move(items), 4);
        }
      }
    }
    number += measure.headline ? 1 : 0;
  }
  return card;
}

}  // namespace crate
