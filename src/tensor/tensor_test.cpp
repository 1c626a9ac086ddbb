// Shapes, views, pools and devices.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tensor/device.h"

namespace crate {
namespace {

TEST(Shape, MatrixView) {
  const Shape s{2, 3, 5};
  EXPECT_EQ(s.rows(), 6);
  EXPECT_EQ(s.cols(), 5);
  EXPECT_EQ(s[-1], 5);
  EXPECT_EQ(s.str(), "(2, 3, 5)");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), Error);
  EXPECT_THROW((Shape{-1}), Error);
}

TEST(Tensor, ViewsAndTypes) {
  std::vector<float> data(12);
  for (int i = 0; i < 12; ++i) data[static_cast<std::size_t>(i)] = static_cast<float>(i);
  const Tensor t{data.data(), {2, 2, 3}, Dtype::f32, 4};
  EXPECT_EQ(t.reshaped({4, 3}).id, 4);
  EXPECT_THROW(t.reshaped({5, 3}), Error);
  const Tensor rows = t.row_slice(1, 3);
  EXPECT_EQ(rows.as<float>()[0], 3.0F);
  EXPECT_EQ(rows.id, -1);
  EXPECT_THROW(t.row_slice(1, 5), Error);
  EXPECT_THROW(t.as<double>(), Error);
}

TEST(Pool, ReusesBlocksAndCountsThem) {
  Pool pool;
  void* a = pool.allocate(1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0u);
  EXPECT_GE(pool.bytes_in_use(), 1000u);
  pool.release(a);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.allocate(1000), a);
  EXPECT_THROW(pool.release(&pool), Error);
}

TEST(Pool, ServesSeveralThreads) {
  Pool pool(true);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 1; i < 200; ++i) {
        const Scratch block(pool, static_cast<std::size_t>(100 * (i % 7) + 1));
        *block.as<char>() = static_cast<char>(t);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(Pool, FenceCatchesWritesOutside) {
  Pool pool(true);
  auto* a = static_cast<char*>(pool.allocate(100));
  a[100] = 1;
  EXPECT_THROW(pool.release(a), Error);
  auto* b = static_cast<char*>(pool.allocate(100));
  b[-1] = 1;
  EXPECT_THROW(pool.release(b), Error);
  auto* c = static_cast<char*>(pool.allocate(100));
  c[99] = 1;
  EXPECT_NO_THROW(pool.release(c));
}

TEST(Device, KindsAndKernelTables) {
  EXPECT_EQ(Device({.kind = DeviceKind::ref}).real(), Dtype::f64);
  EXPECT_EQ(Device({.kind = DeviceKind::ref, .complex = true}).real(), Dtype::c128);
  EXPECT_EQ(Device().real(), Dtype::f32);
  EXPECT_THROW(Device({.kind = DeviceKind::cuda}), Error);
  EXPECT_EQ(device_kind("cpu"), DeviceKind::cpu);
  EXPECT_THROW(device_kind("tpu"), Error);
  const Kernels<void()> kernels{"nothing", nullptr, [] {}};
  EXPECT_NO_THROW(kernels.on(DeviceKind::cpu)());
  EXPECT_THROW(kernels.on(DeviceKind::ref), Error);
}

}  // namespace
}  // namespace crate
