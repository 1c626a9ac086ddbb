#include "work/compress/integer_kernels.h"

#include <cstdlib>

#include "base/error.h"

namespace crate {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

bool has_vnni() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
#else
  return false;
#endif
}

}  // namespace

const IntegerKernels& integer_kernels(const std::string& name) {
  if (name == "baseline") return integer_baseline;
  require(name == "avx2" || name == "vnni", "CRATE_ISA must be baseline, avx2 or vnni, came {}", name);
#if defined(__x86_64__)
  if (name == "avx2" && has_avx2()) return integer_avx2;
  if (name == "vnni" && has_vnni()) return integer_vnni;
#endif
  fail("CRATE_ISA={}: this processor does not have it; unset the variable", name);
}

const IntegerKernels& integer_kernels() {
  if (const char* wanted = std::getenv("CRATE_ISA"); wanted != nullptr && *wanted != '\0')
    return integer_kernels(std::string(wanted));
  return integer_kernels(has_vnni() ? "vnni" : has_avx2() ? "avx2" : "baseline");
}

}  // namespace crate
