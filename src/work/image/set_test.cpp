// Every kind of source opens, and what is wrong with one is said before a training starts.
#include "work/image/set.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "testing/folder.h"
#include "testing/image_files.h"
#include "work/image/tar.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

void expect_message(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    EXPECT_NE(message.find(word), std::string::npos) << "no '" << word << "' in: " << message;
}

std::string open_error(const std::string& source, const ImageSource& options = {}) {
  return message_of([&] { open_images(source, options); });
}

/// A grey PNG of one pixel.
std::string dot(uint8_t level) { return png_bytes(1, 1, PNG_COLOR_TYPE_GRAY, 8, {{level}}); }

void put(const Folder& folder, const std::string& path, const std::string& text) {
  fs::create_directories((folder.path / path).parent_path());
  write_atomically(folder.at(path), text);
}

int level(const ImageSet& set, int64_t i) { return set.decode(i).pixels.at(0); }

struct TarFile {
  std::string bytes;

  void add(const std::string& path, char kind, const std::string& data) {
    std::string header(512, '\0');
    path.substr(0, 100).copy(header.data(), 100);
    fmt::format("{:011o}", data.size()).copy(header.data() + 124, 11);
    header[156] = kind;
    std::string(
        "ustar\0"
        "00",
        8)
        .copy(header.data() + 257, 8);
    std::fill_n(header.begin() + 148, 8, ' ');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    fmt::format("{:06o}", sum).copy(header.data() + 148, 6);
    header[154] = '\0';
    bytes += header + data + std::string((512 - data.size() % 512) % 512, '\0');
  }
  std::string done() const { return bytes + std::string(1024, '\0'); }
};

TEST(ImageFolder, ClassesAreSortedAndFilesInOrder) {
  const Folder folder;
  put(folder, "train/cat/2.png", dot(12));
  put(folder, "train/cat/1.png", dot(11));
  put(folder, "train/ant/deep/x.PNG", dot(3));
  put(folder, "train/ant/notes.txt", "not an image");
  put(folder, "train/cat/.hidden.png", dot(99));
  put(folder, "val/cat/1.png", dot(21));
  const auto set = open_images(folder.path, {.split = "train"});
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->classes().at(0).id, "ant");
  EXPECT_EQ(level(*set, 0), 3);
  EXPECT_EQ(set->label(0), 0);
  EXPECT_EQ(level(*set, 1), 11);
  EXPECT_EQ(level(*set, 2), 12);
  EXPECT_EQ(set->label(2), 1);
  EXPECT_EQ(set->name(2), folder.at("train/cat/2.png"));
  // Only one class there; the classes of the model keep its number.
  const auto val = open_images(folder.path, {.split = "test", .classes = {"ant", "cat"}});
  EXPECT_EQ(level(*val, 0), 21);
  EXPECT_EQ(val->label(0), 1);
  EXPECT_NO_THROW(check_trainable(*set, 2));
  expect_message(message_of([&] { check_trainable(*set, 10); }), {"2 classes", "10"});
}

TEST(ImageFolder, ErrorsNameTheFolderAndTheRemedy) {
  const Folder folder;
  expect_message(open_error(folder.at("absent")), {"absent", "no file or folder"});
  put(folder, "flat/1.png", dot(1));
  expect_message(open_error(folder.at("flat")), {"flat", "no class folders", "path<TAB>label"});
  EXPECT_EQ(open_images(folder.at("flat"), {.need_labels = false})->label(0), -1);
  put(folder, "holes/cat/1.png", dot(1));
  fs::create_directories(folder.path / "holes/dog");
  expect_message(open_error(folder.at("holes")), {"holes", "class dog has no images"});
  put(folder, "parts/train/cat/1.png", dot(1));
  put(folder, "parts/val/cat/1.png", dot(1));
  expect_message(open_error(folder.at("parts")), {"parts", "train, val", "split"});
  expect_message(open_error(folder.at("parts"), {.split = "left"}), {"left", "train, val or test"});
  put(folder, "only/train/cat/1.png", dot(1));
  expect_message(open_error(folder.at("only"), {.split = "val"}), {"only", "no part val", "train"});
  expect_message(open_error(folder.at("holes/cat"), {.classes = {"a", "b"}}), {"no class folders"});
  expect_message(open_error(folder.at("only"), {.split = "train", .classes = {"car", "dog"}}), {"cat", "nearest: car"});
  expect_message(open_error(folder.with("strange.dat", "strange")), {"strange.dat", "neither"});
  expect_message(open_error(folder.with("empty.tar", "")), {"empty.tar", "empty"});
}

TEST(ImageFolder, ClassesTsvOrdersAndNames) {
  const Folder folder;
  put(folder, "classes.tsv", "n2\tzebra\nn1\tapple, fruit\n");
  put(folder, "train/n1/1.png", dot(1));
  put(folder, "train/n2/1.png", dot(2));
  const auto set = open_images(folder.path, {.split = "train"});
  EXPECT_EQ(set->label(0), 1);
  EXPECT_EQ(set->classes().at(1).name, "apple, fruit");
  const auto chosen = open_images(folder.path, {.split = "train", .classes = {"apple, fruit", "zebra"}});
  EXPECT_EQ(chosen->label(0), 0);
  EXPECT_EQ(chosen->classes().at(0).id, "n1");
  put(folder, "flat/classes.tsv", "0\tn1\tapple\n1\tn2\tzebra\n");
  put(folder, "flat/n2_stripes.png", dot(7));
  EXPECT_EQ(open_images(folder.at("flat"))->label(0), 1);
  put(folder, "train/n3/1.png", dot(2));
  expect_message(open_error(folder.path, {.split = "train"}), {"n3", "not one of the 2"});
}

TEST(Tar, IsReadInPlaceAsTheFolderWouldBe) {
  TarFile tar;
  tar.add("top/", '5', "");
  tar.add("top/classes.tsv", '0', "b\tbee\na\tape\n");
  tar.add("top/train/b/2.png", '0', dot(2));
  tar.add("././@LongLink", 'L', "top/train/a/" + std::string(120, 'x') + ".png");
  tar.add("top/train/a/cut", '0', dot(1));
  tar.add("pax", 'x', "32 path=top/train/b/a long name\n");  // no image suffix: passed over
  tar.add("top/train/b/z", '0', "text");
  tar.add("top/val/a/9.png", '0', dot(9));
  const Folder folder;
  const std::string path = folder.with("set.tar", tar.done());
  const auto set = open_images(path, {.split = "train"});
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(level(*set, 0), 1);
  EXPECT_EQ(set->label(0), 1);
  EXPECT_EQ(level(*set, 1), 2);
  EXPECT_EQ(set->name(1), path + ":top/train/b/2.png");
  EXPECT_EQ(set->classes().at(0).name, "bee");
  EXPECT_EQ(level(*open_images(path, {.split = "val", .classes = {"a", "b"}}), 0), 9);

  const std::string whole = tar.done();
  expect_message(open_error(folder.with("cut.tar", whole.substr(0, 5000)), {.split = "train"}),
                 {"cut.tar", "cut short"});
  std::string damaged = whole;
  damaged[700] ^= 1;  // in the second header's unused end: only its sum tells
  damaged[512] ^= 1;
  expect_message(open_error(folder.with("bad.tar", damaged), {.split = "train"}), {"bad.tar", "damaged"});
}

TEST(Tar, AnEmptyClassIsSeenThere) {
  TarFile tar;
  tar.add("a/1.png", '0', dot(1));
  tar.add("b/", '5', "");
  const Folder folder;
  expect_message(open_error(folder.with("set.tar", tar.done())), {"set.tar", "class b has no images"});
}

std::string idx(std::vector<uint32_t> sizes, const std::string& numbers) {
  std::string out = {'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const uint32_t n : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 0xff);
  }
  return out + numbers;
}

void put_gzip(const std::string& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

TEST(Idx, PlainAndGzip) {
  const Folder folder;
  const std::string images = idx({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  put(folder, "train-images-idx3-ubyte", images);
  put_gzip(folder.at("train-labels-idx1-ubyte.gz"), idx({2}, {'\x04', '\x00'}));
  put_gzip(folder.at("t10k-images-idx3-ubyte.gz"), images);
  put(folder, "t10k-labels-idx1-ubyte", idx({2}, {'\x01', '\x01'}));
  for (const char* split : {"train", "test"}) {
    const auto set = open_images(folder.path, {.split = split});
    ASSERT_EQ(set->size(), 2);
    EXPECT_EQ(set->decode(1).pixels, (std::vector<uint8_t>{4, 5, 6}));
    EXPECT_EQ(set->label(0), split == std::string("train") ? 4 : 1);
    EXPECT_TRUE(set->in_memory());
  }
  EXPECT_EQ(open_images(folder.at("train-images-idx3-ubyte"))->classes().size(), 5u);
}

TEST(Idx, ErrorsNameTheFile) {
  const Folder folder;
  const std::string images = folder.at("images-idx3"), labels = folder.at("labels-idx1");
  put(folder, "images-idx3", idx({2, 1, 1}, "ab"));
  expect_message(open_error(images), {labels, "no file"});
  put(folder, "labels-idx1", idx({3}, "abc"));
  expect_message(open_error(images), {labels, "3 labels for 2 images"});
  put(folder, "labels-idx1", idx({2}, "a"));
  expect_message(open_error(images), {labels, "cut short"});
  put(folder, "labels-idx1", idx({2}, "abc"));
  expect_message(open_error(images), {labels, "longer"});
  put(folder, "labels-idx1", idx({2}, {'\x00', '\x05'}));
  put(folder, "classes.txt", "no\nyes\n");
  expect_message(open_error(images), {labels, "label 5 is outside the 2 classes"});
  put(folder, "images-idx3", idx({4000000000, 4000000000, 1}, ""));
  expect_message(open_error(images), {images, "sizes"});
}

TEST(Cifar, BothRecordsAndTheirErrors) {
  const Folder folder;
  std::string record(3073, '\0');
  record[0] = 7;
  record[1] = 10, record[1 + 1024] = 20, record[1 + 2048] = 30;
  put(folder, "data_batch_1.bin", record + record);
  put(folder, "test_batch.bin", record);
  const auto ten = open_images(folder.path, {.split = "train"});
  ASSERT_EQ(ten->size(), 2);
  EXPECT_EQ(ten->label(1), 7);
  const Image image = ten->decode(1);
  EXPECT_EQ(std::vector<uint8_t>(image.pixels.begin(), image.pixels.begin() + 3), (std::vector<uint8_t>{10, 20, 30}));
  std::string hundred(3074, '\0');
  hundred[1] = 99;
  put(folder, "hundred.bin", hundred);
  EXPECT_EQ(open_images(folder.at("hundred.bin"))->label(0), 99);
  put(folder, "cut.bin", record.substr(1));
  expect_message(open_error(folder.at("cut.bin")), {"cut.bin", "3072 bytes"});
  record[0] = 10;
  put(folder, "wrong.bin", record);
  expect_message(open_error(folder.at("wrong.bin")), {"wrong.bin", "label 10 of image 0 is outside the 10"});
}

TEST(List, OfPathsAndLabels) {
  const Folder folder;
  put(folder, "a/1.png", dot(1));
  put(folder, "2.png", dot(2));
  const auto numbers = open_images(folder.with("list.tsv", "a/1.png\t2\n2.png\t0\n"));
  EXPECT_EQ(numbers->classes().size(), 3u);
  EXPECT_EQ(numbers->label(0), 2);
  EXPECT_EQ(level(*numbers, 1), 2);
  const auto words = open_images(folder.with("list.txt", folder.at("2.png") + "\tdog\r\n\na/1.png\tcat\r\n"));
  EXPECT_EQ(words->label(0), 1);
  EXPECT_EQ(words->classes().at(0).id, "cat");
  expect_message(open_error(folder.with("list.tsv", "a/1.png\t0\nnone.png\t1\n")), {"list.tsv", "none.png"});
  expect_message(open_error(folder.with("list.tsv", "a/1.png\n")), {"list.tsv:1", "path<TAB>label"});
  EXPECT_EQ(open_images(folder.at("list.tsv"), {.need_labels = false})->label(0), -1);
  put(folder, "classes.tsv", "cat\ndog\n");
  expect_message(open_error(folder.with("list.tsv", "a/1.png\t0\n\n2.png\t2\n")),
                 {"list.tsv:3", "label 2", "2 classes"});
  expect_message(open_error(folder.with("list.tsv", "a/1.png\t-1\n")), {"list.tsv:1", "label -1"});
}

TEST(Single, ImageAndVocLayout) {
  const Folder folder;
  put(folder, "one.png", dot(5));
  const auto one = open_images(folder.at("one.png"), {.need_labels = false});
  EXPECT_EQ(level(*one, 0), 5);
  expect_message(open_error(folder.at("one.png")), {"one.png", "without a label"});
  put(folder, "voc/JPEGImages/x.jpg", jpeg_bytes(test_image(4, 6, 3)));
  put(folder, "voc/JPEGImages/unmasked.jpg", jpeg_bytes(test_image(4, 6, 3)));
  fs::create_directories(folder.path / "voc/SegmentationClass");
  Image mask(4, 6, 1);
  mask.pixels[5] = 15;
  write_png(folder.at("voc/SegmentationClass/x.png"), mask, voc_palette());
  const auto voc = open_images(folder.at("voc"), {.need_labels = false});
  ASSERT_EQ(voc->size(), 1);
  EXPECT_EQ(voc->mask(0), mask);
  EXPECT_FALSE(one->mask(0).has_value());
}

TEST(DamagedImages, AreNamed) {
  const Folder folder;
  put(folder, "a/whole.png", dot(1));
  put(folder, "b/cut.png", dot(1).substr(0, 50));
  const auto set = open_images(folder.path);
  expect_message(message_of([&] { set->decode(1); }), {folder.at("b/cut.png"), "cut short"});
}

TEST(RealSets, OpenWhereTheyArePresent) {
  const fs::path data = fs::path(CRATE_SOURCE_DIR) / "../shared/data/vision";
  if (!fs::exists(data)) GTEST_SKIP() << "no real sets beside the repository";
  const auto mnist = open_images((data / "mnist").string(), {.split = "train"});
  EXPECT_EQ(mnist->size(), 60000);
  EXPECT_EQ(mnist->classes().size(), 10u);
  EXPECT_EQ(mnist->label(0), 5);
  const auto cifar = open_images((data / "cifar10-jpg.tar").string(), {.split = "test"});
  EXPECT_EQ(cifar->size(), 10000);
  EXPECT_EQ(cifar->classes().at(3).name, "cat");
  EXPECT_EQ(cifar->decode(9999).width, 32);
  const auto tiny = open_images((data / "tiny-imagenet-20.tar").string(), {.split = "val"});
  EXPECT_EQ(tiny->size(), 1000);
  EXPECT_EQ(tiny->classes().at(0).name, "goldfish, Carassius auratus");
  const auto sample = open_images((data / "imagenet-sample").string());
  EXPECT_EQ(sample->classes().size(), 1000u);
  for (int64_t i = 0; i < sample->size(); i += 8) EXPECT_GT(sample->decode(i).height, 100);
}

}  // namespace
}  // namespace crate
