// A classifier of images: atoms that tell classes apart are named by them, contexts name image and patch.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "testing/folder.h"
#include "work/atoms/build.h"
#include "work/atoms/image_observation.h"
#include "work/atoms/index.h"

namespace crate {
namespace {

// Noise; on the images of class 1 with stripes, which no norm takes away.
class Squares final : public ImageSet {
 public:
  explicit Squares(int64_t n) : ImageSet("squares", {{"p", "plain"}, {"s", "striped"}}), n_(n) {}
  int64_t size() const override { return n_; }
  int label(int64_t i) const override { return static_cast<int>(i / 3 % 2); }
  std::string name(int64_t i) const override { return "image " + std::to_string(i); }
  Image decode(int64_t i) const override {
    Image out(16, 16, 3);
    const Rng rng(4, Stream::test);
    for (std::size_t k = 0; k < out.pixels.size(); ++k) {
      const bool stripe = label(i) == 1 && k / 3 % 4 < 2;
      out.pixels[k] =
          static_cast<uint8_t>((stripe ? 150 : 20) + static_cast<int>(rng.below(60, static_cast<uint64_t>(i), k)));
    }
    return out;
  }

 private:
  int64_t n_;
};

TEST(ImageAtoms, AreNamedByClassesAndShowPatches) {
  const Folder folder;
  for (const Family family : {Family::crate, Family::vit}) {
    ModelConfig c = config_of(family);
    c.dim = 24;
    c.heads = 2;
    c.layers = 1;
    c.image.height = c.image.width = 16;
    c.image.patch = 4;
    c.image.classes = 2;
    Device device;
    VisionModel model(device, c);
    model.init(3);
    const Squares set(60);
    ImageObservation seen(model, set, 0, {.batch = 7});
    const std::string path = folder.at(name_of(family));
    const BuildSummary summary = build_index(seen, path, {});
    EXPECT_EQ(summary.documents, 60);
    EXPECT_EQ(summary.tokens, 60 * c.image.tokens());
    AtomIndex index(path);
    EXPECT_FALSE(index.is_text());
    const std::string site = index.sites().front();
    double best = 0;
    for (int64_t atom = 0; atom < index.atoms(site); ++atom) {
      for (const ConceptMatch& m : index.concepts(site, atom))
        if (m.text.starts_with("class: ")) best = std::max(best, m.f1);
    }
    EXPECT_GT(best, 0.8) << name_of(family);
    bool seen_context = false;
    for (int64_t atom = 0; atom < index.atoms(site) && !seen_context; ++atom) {
      for (const AtomContext& context : index.contexts(site, atom, 1)) {
        seen_context = true;
        EXPECT_TRUE(context.tokens.empty());
        EXPECT_EQ(context.begin / c.image.tokens(), context.document);
        EXPECT_NE(index.title(context.document).find("image "), std::string::npos);
      }
      EXPECT_EQ(index.raises(site, atom).size(), 2u);
    }
    EXPECT_TRUE(seen_context);
  }
  EXPECT_NE(message_of([&] {
              Device device;
              ModelConfig c = config_of(Family::vit);
              c.dim = 24, c.heads = 2, c.layers = 1;
              VisionModel model(device, c);
              ImageObservation(model, Squares(1), 0, {});
            }),
            "no error");
}

}  // namespace
}  // namespace crate
