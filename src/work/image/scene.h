// scene: generated pictures of plain shapes on textured ground, of known class, colour, size and place, with exact
// masks. What is measured on them (does attention find the object, does a segmentation cover it) has a right answer.
//
// A shape is a set of points (u, v) in the disc of radius 1, turned by at most 15 degrees, scaled to r pixels and put
// at a place where it does not touch another. A pixel takes the shape's colour by the share of its 4 x 4 sample points
// that lie inside, and its mask is the shape where that share is at least one half. Colour says nothing about the
// class; the ground is one of four textures between two similar colours, and the shape's colour keeps away from both.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "work/image/set.h"

namespace crate {

/// In the order of the classes: circle, square, triangle, ring, cross, star, crescent, diamond.
const std::vector<std::string>& shape_names();

struct SceneOptions {
  int64_t count = 1000;
  int height = 64, width = 64;
  int classes = 8;  // the first so many shapes
  int objects_min = 1, objects_max = 1;
  uint64_t seed = 1;
  int part = 0;  // 0 train, 1 val, 2 test: other scenes of the same kind
};

struct SceneObject {
  int shape = 0;  // its class
  double x = 0, y = 0, radius = 0, angle = 0;
  std::array<uint8_t, 3> colour = {};
};

struct Scene {
  Image image;    // RGB
  Image classes;  // 0 ground, else class + 1
  Image objects;  // 0 ground, else number of the object, from 1
  std::vector<SceneObject> list;
};

/// Scene i; its first object is the largest and of class i mod classes, which is the scene's label.
Scene make_scene(const SceneOptions& options, int64_t i);

/// "2000", then perhaps ",size=64" ",objects=1-4" ",classes=8" ",seed=1": what follows "synthetic:" in a source.
SceneOptions parse_scenes(const std::string& text, const std::string& split);

std::unique_ptr<ImageSet> open_scenes(const SceneOptions& options, const ImageSource& source = {});

/// Writes OUT/train and OUT/val (`val` scenes) as class folders of PNG, classes.txt, and OUT/voc: the val scenes with
/// their masks in VOC's layout. Throws Error when OUT exists and is not empty.
void write_scenes(const SceneOptions& options, int64_t val, const std::string& out);

}  // namespace crate
