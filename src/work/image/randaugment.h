// randaugment: n changes drawn from a list, each as strong as m of 30 (Cubuk, Zoph, Shlens, Le: "RandAugment", 2020),
// with the list and the strengths of torchvision: nothing, shear and shift along x and y, rotation, brightness,
// saturation, contrast, sharpness, posterise, solarise, stretched contrast, equalised levels. What moves takes the
// nearest pixel and black outside.
#pragma once
#include "work/image/draws.h"
#include "work/image/image.h"

namespace crate {

/// n changes of strength m in [0, 30].
void randaugment(Image& image, int n, int m, Draws& draws);

/// The pixel at the output's (x, y) is the input's nearest to (a x' + b y' + c, d x' + e y' + f), x' = x + 1/2, y' = y
/// + 1/2.
Image warp(const Image& image, double a, double b, double c, double d, double e, double f);

}  // namespace crate
