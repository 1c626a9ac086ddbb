// Scenes are what they say: shapes of the stated class where the mask is, the same for the same address.
#include "work/image/scene.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numbers>

#include "testing/folder.h"

namespace crate {
namespace {

TEST(Scene, IsAFunctionOfItsAddress) {
  const SceneOptions options{.count = 50, .objects_max = 3};
  const Scene a = make_scene(options, 7), b = make_scene(options, 7);
  EXPECT_EQ(a.image, b.image);
  EXPECT_EQ(a.classes, b.classes);
  SceneOptions other = options;
  other.part = 1;
  EXPECT_NE(make_scene(other, 7).image, a.image);
  other = options;
  other.seed = 2;
  EXPECT_NE(make_scene(other, 7).image, a.image);
}

TEST(Scene, MasksHaveTheAreaOfTheirShape) {
  // Areas of the shapes of radius 1.
  const double pi = std::numbers::pi, notch = 0.45;
  const std::vector<double> area = {0.95 * 0.95 * pi,
                                    1.96,
                                    0.75 * std::sqrt(3.0),
                                    pi * (1 - 0.36),
                                    8 * 0.28 * 0.95 - 4 * 0.28 * 0.28,
                                    5 * notch * std::sin(36 * pi / 180),
                                    -1,
                                    1.2};
  const SceneOptions options{.count = 24, .height = 200, .width = 160};
  for (int64_t i = 0; i < options.count; ++i) {
    const Scene scene = make_scene(options, i);
    ASSERT_EQ(scene.list.size(), 1u);
    const SceneObject& o = scene.list[0];
    EXPECT_EQ(o.shape, i % 8);
    double pixels = 0;
    for (int y = 0; y < 200; ++y) {
      for (int x = 0; x < 160; ++x) {
        const int c = scene.classes.at(y, x)[0];
        ASSERT_TRUE(c == 0 || c == o.shape + 1);
        ASSERT_EQ(scene.objects.at(y, x)[0], c > 0);
        pixels += c > 0;
        ASSERT_TRUE(c == 0 || std::hypot(x + 0.5 - o.x, y + 0.5 - o.y) <= o.radius + 1);
      }
    }
    const double expected = area[static_cast<std::size_t>(o.shape)];
    const double found = pixels / (o.radius * o.radius);
    EXPECT_TRUE(expected < 0 || std::abs(found - expected) < 0.05) << shape_names()[i % 8u] << ' ' << found;
    EXPECT_GT(pixels, 100);
  }
}

TEST(Scene, TheMaskedPixelsHaveTheObjectsColour) {
  const SceneOptions options{.count = 30, .objects_min = 2, .objects_max = 4};
  std::size_t objects = 0;
  for (int64_t i = 0; i < options.count; ++i) {
    const Scene scene = make_scene(options, i);
    objects += scene.list.size();
    EXPECT_EQ(scene.list[0].shape, i % 8);
    for (std::size_t p = 0; p < scene.classes.pixels.size(); ++p) {
      const int number = scene.objects.pixels[p];
      if (number == 0) continue;
      const SceneObject& o = scene.list[static_cast<std::size_t>(number - 1)];
      ASSERT_EQ(scene.classes.pixels[p], o.shape + 1);
    }
    // At the middle of a solid shape the colour is the object's, but for the grain.
    const SceneObject& o = scene.list[0];
    if (o.shape == 3 || o.shape == 6) continue;
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(scene.image.at(static_cast<int>(o.y), static_cast<int>(o.x))[c], o.colour[c], 13);
  }
  EXPECT_GT(objects, 75u);
}

TEST(SceneSet, OpensByNameAndKeepsItsPartsApart) {
  const auto train = open_images("synthetic:40,size=32,objects=1-2,classes=4,seed=9", {.split = "train"});
  const auto val = open_images("synthetic:40,size=32,objects=1-2,classes=4,seed=9", {.split = "val"});
  EXPECT_EQ(train->size(), 40);
  EXPECT_EQ(train->label(6), 2);
  EXPECT_EQ(train->classes().at(2).name, "triangle");
  EXPECT_EQ(train->decode(3).width, 32);
  EXPECT_NE(train->decode(3), val->decode(3));
  ASSERT_TRUE(train->mask(3).has_value());
  const auto turned = open_images(
      "synthetic:4", {.classes = {"square", "circle", "triangle", "ring", "cross", "star", "crescent", "diamond"}});
  EXPECT_EQ(turned->label(0), 1);
  EXPECT_NE(message_of([] { open_images("synthetic:many"); }).find("'many' is no number"), std::string::npos);
  EXPECT_NE(message_of([] { open_images("synthetic:10,colour=3"); }).find("colour"), std::string::npos);
  EXPECT_NE(message_of([] { open_images("synthetic:10,size=4"); }).find("16 .. 4096"), std::string::npos);
  EXPECT_NE(message_of([] { open_images("synthetic:0"); }).find("count"), std::string::npos);
}

TEST(SceneFiles, ReadBackAsClassFoldersAndAsVoc) {
  const Folder folder;
  const std::string out = folder.at("scenes");
  const SceneOptions options{.count = 16, .height = 24, .width = 24, .objects_max = 2};
  write_scenes(options, 8, out);
  const auto train = open_images(out, {.split = "train"}), val = open_images(out, {.split = "val"});
  EXPECT_EQ(train->size(), 16);
  EXPECT_EQ(train->classes().at(0).name, "circle");
  EXPECT_EQ(train->label(0), 0);
  EXPECT_EQ(train->decode(0), make_scene(options, 0).image);
  const auto voc = open_images(out + "/voc", {.split = "val", .need_labels = false});
  ASSERT_EQ(voc->size(), 8);
  SceneOptions part = options;
  part.part = 1;
  part.count = 8;
  const Scene circle = make_scene(part, 0);  // circle_000000 is the first by name
  EXPECT_EQ(voc->decode(0), circle.image);
  EXPECT_EQ(voc->mask(0), circle.classes);
  EXPECT_EQ(load_mask(out + "/voc/SegmentationObject/circle_000000.png"), circle.objects);
  EXPECT_NE(message_of([&] { write_scenes(options, 8, out); }).find("not empty"), std::string::npos);
}

}  // namespace
}  // namespace crate
