// isa: which of the instruction sets we compile kernels for this machine runs.
// A kernel x is written once, in x_kernel.h, and compiled three times, by x_baseline.cpp, x_avx2.cpp and x_avx512.cpp
// (the build gives each file its flags, see CMakeLists.txt); a table picked with cpu_isa() says which one to call.
#pragma once

namespace crate {

/// Instruction sets with kernels of their own. `baseline` is what every machine of the architecture runs.
enum class Isa { baseline, avx2, avx512 };

/// The best of them that this machine runs; asked once.
Isa cpu_isa();

/// Whether bf16 products run in tiles (AMX) on this machine, asked of oneDNN, which asks the system for leave. Vectors
/// of bf16 (vdpbf16ps) had half the speed of those of f32 on the one measured, an Emerald Rapids: 82 and 147 GFLOP/s.
bool has_tiles();

/// "baseline", "avx2" or "avx512".
const char* name_of(Isa isa);

}  // namespace crate
