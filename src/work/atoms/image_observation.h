// image_observation: a classifier of images looks at a set of images, a window an image, a token a patch (after the
// class token, where the family has one).
//
// Features of a patch: the class of its image, where it lies (class token; thirds of the image; its border), and how it
// looks (dark, bright, reddish, greenish, bluish, flat, busy). Half of the images are held out.
#pragma once
#include <map>

#include "model/vision_model.h"
#include "work/atoms/observation.h"
#include "work/image/augment.h"
#include "work/image/set.h"

namespace crate {

class ImageObservation final : public Observation {
 public:
  /// At most `images` of them, evenly over the set; 0: all. Throws Error when the set is empty.
  ImageObservation(VisionModel& model, const ImageSet& set, int64_t images, const ObserveOptions& options);

  int64_t window_tokens() const override { return model_.config().image.tokens(); }
  int64_t size() const override { return count_ * window_tokens(); }
  int64_t documents() const override { return count_; }
  WindowInfo window(int64_t number) override;
  std::string ngram_text(int64_t) const override { return {}; }
  int64_t features() const override { return static_cast<int64_t>(names_.size()); }
  std::string feature_name(int64_t row) const override { return names_[static_cast<std::size_t>(row)]; }
  bool is_concept(int64_t row) const override { return row < static_cast<int64_t>(set_.classes().size()); }
  int64_t outputs() const override { return model_.config().image.classes; }
  std::string output_text(int64_t output) const override;
  std::map<std::string, std::string> about() const override;
  bool is_text() const override { return false; }
  std::string title(int64_t document) const override;
  std::vector<int32_t> read_tokens(int64_t, int64_t) const override { return {}; }

 protected:
  void forward(const std::vector<int64_t>& windows, Tap& tap) override;

 private:
  int64_t item(int64_t number) const { return number * set_.size() / count_; }
  const Image& pixels(int64_t number);
  void look_of(const Image& image, int64_t row, int64_t column, std::vector<int32_t>& out) const;
  void place_of(int64_t row, int64_t column, std::vector<int32_t>& out) const;
  int32_t feature(const std::string& name) const { return numbers_.at(name); }

  VisionModel& vision_model_;
  const ImageSet& set_;
  int64_t count_;
  std::vector<std::string> names_;
  std::map<std::string, int32_t> numbers_;
  std::map<int64_t, Image> seen_;  // the last images, transformed
};

}  // namespace crate
