// Editing atoms: what is removed stays silent, an undo gives the original bytes, what does not fit is refused.
#include "work/steer/edit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/checkpoint.h"
#include "testing/folder.h"
#include "testing/models.h"

namespace crate {
namespace {

std::string code_site(const ModelConfig& c) {
  return is_white_box(c.family) ? "blocks.1.ista.code" : "blocks.1.mlp.hidden";
}

// The largest value of one atom over a batch.
double largest(LanguageModel& model, const std::string& site, int64_t atom) {
  class Largest final : public Tap {
   public:
    Largest(std::string site, int64_t atom) : site_(std::move(site)), atom_(atom) {}
    bool wants(std::string_view site) override { return site == site_; }
    void see(std::string_view, const Tensor& t) override {
      for (int64_t row = 0; row < t.rows(); ++row)
        value = std::max<double>(value, std::abs(t.as<float>()[row * t.cols() + atom_]));
    }
    double value = 0;

   private:
    std::string site_;
    int64_t atom_;
  } tap(site, atom);
  Batch batch(4, 9, model.config().vocab, 1);
  crate::Run run(model.device(), {.tap = &tap});
  model.logits(run, batch.tokens());
  return tap.value;
}

TEST(Edit, RemovedAtomsAreSilentAndComeBack) {
  for (const ModelCase& c : small_models()) {
    const Folder folder;
    Device device;
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    save_model(folder.at("m"), model, {{"note.txt", "kept"}});
    const std::string site = code_site(c.config), original = read_text_file(folder.at("m/model.safetensors"));
    edit_model(folder.at("m"), {{AtomEdit::Kind::remove, site, {{2, 3}, {7, 7}}, 1, {}}}, folder.at("e"));
    const auto edited = load_language_model(device, folder.at("e"));
    bool spoke = false;
    for (const int64_t atom : {2, 3, 7}) {
      spoke = spoke || largest(model, site, atom) > 0;
      EXPECT_EQ(largest(*edited, site, atom), 0) << c.name;
    }
    EXPECT_TRUE(spoke) << c.name;
    EXPECT_EQ(read_text_file(folder.at("e/note.txt")), "kept");
    // A second edit on top, then both taken back.
    edit_model(folder.at("e"), {{AtomEdit::Kind::scale, site, {{1, 1}}, -2, {}}}, folder.at("e2"));
    undo_edit(folder.at("e2"), folder.at("b2"));
    EXPECT_EQ(read_text_file(folder.at("b2/edit.json")), read_text_file(folder.at("e/edit.json")));
    undo_edit(folder.at("b2"), folder.at("b"));
    EXPECT_EQ(read_text_file(folder.at("b/model.safetensors")), original) << c.name;
    EXPECT_FALSE(std::filesystem::exists(folder.at("b/edit.json")));
  }
}

// With one step an atom of a wide dictionary does nothing but write, as a ReLU unit does: removed is ablated.
TEST(Edit, RemovingIsAblatingWhereAtomsDoNotCompete) {
  for (ModelCase& c : small_models()) {
    if (c.config.family == Family::crate_gpt || c.name.ends_with("options")) continue;
    if (c.config.family == Family::crate_lm) c.config.ista_steps = 1;
    const Folder folder;
    Device device;
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    save_model(folder.at("m"), model);
    const std::string site = code_site(c.config);
    edit_model(folder.at("m"), {{AtomEdit::Kind::remove, site, {{5, 9}}, 1, {}}}, folder.at("e"));
    const auto edited = load_language_model(device, folder.at("e"));
    InterventionTap tap({parse_ablation(site + ":5-9")}, c.config);
    Batch batch(2, 9, c.config.vocab, 1);
    crate::Run a(device, {.tap = &tap}), b(device);
    const Tensor ablated = model.logits(a, batch.tokens()), removed = edited->logits(b, batch.tokens());
    for (int64_t i = 0; i < ablated.numel(); ++i)
      EXPECT_NEAR(ablated.as<float>()[i], removed.as<float>()[i], 2e-5) << c.name;
  }
}

TEST(Edit, SetsAndScalesWhatAnAtomWrites) {
  for (const ModelCase& c : small_models()) {
    if (!c.name.ends_with("plain") && c.config.family != Family::crate_lm) continue;
    const Folder folder;
    Device device;
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    save_model(folder.at("m"), model);
    const std::string site = code_site(c.config);
    std::vector<float> row(static_cast<std::size_t>(c.config.dim), 0.5F);
    edit_model(folder.at("m"),
               {{AtomEdit::Kind::set, site, {{4, 4}}, 1, row}, {AtomEdit::Kind::scale, site, {{4, 4}}, 3, {}}},
               folder.at("e"));
    EXPECT_EQ(written_row(folder.at("e"), site, 4), std::vector<float>(row.size(), 1.5F)) << c.name;
    EXPECT_EQ(written_row(folder.at("e"), site, 3), written_row(folder.at("m"), site, 3)) << c.name;
  }
}

TEST(Edit, RefusesWhatDoesNotFit) {
  const Folder folder;
  Device device;
  LanguageModel model(device, small_models()[2].config);
  init_noisily(model, 3);
  save_model(folder.at("m"), model);
  const auto message = [&](const AtomEdit& e, const char* out = "e") {
    return message_of([&] { edit_model(folder.at("m"), {e}, folder.at(out)); });
  };
  const std::string site = "blocks.1.ista.code";
  EXPECT_NE(message({AtomEdit::Kind::remove, site, {{60, 60}}, 1, {}}).find("atoms 0 to 59"), std::string::npos);
  EXPECT_NE(message({AtomEdit::Kind::remove, "blocks.1.z_pre", {{0, 0}}, 1, {}}), "no error");
  EXPECT_NE(message({AtomEdit::Kind::set, site, {{0, 0}}, 1, {1.0F}}), "no error");
  EXPECT_NE(message({AtomEdit::Kind::remove, site, {{0, 0}}, 1, {}}, "m"), "no error");
  EXPECT_NE(message_of([&] { undo_edit(folder.at("m"), folder.at("b")); }).find("edit.json"), std::string::npos);
  edit_model(folder.at("m"), {{AtomEdit::Kind::remove, site, {{0, 0}}, 1, {}}}, folder.at("e"));
  const auto other = load_language_model(device, folder.at("e"));
  save_model(folder.at("other"), *other, {{"edit.json", read_text_file(folder.at("e/edit.json"))}});
  undo_edit(folder.at("other"), folder.at("b"));  // the same weights
  for (const char* bad : {"{}", "[]", "", R"({"base": "x", "result": "y", "slices": []})"}) {
    save_model(folder.at("other"), *other, {{"edit.json", bad}});
    EXPECT_NE(message_of([&] { undo_edit(folder.at("other"), folder.at("b")); }), "no error") << bad;
  }
}

}  // namespace
}  // namespace crate
