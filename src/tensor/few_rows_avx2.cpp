// few_rows_avx2: the products of few_rows for x86-64 machines with AVX2.
#if defined(__x86_64__)
#include "tensor/few_rows_kernel.h"
#include "tensor/few_rows_table.h"

namespace crate::few {

const Table table_avx2 = table;

}  // namespace crate::few
#endif
