// few_rows_baseline: the products of few_rows for every machine of the architecture.
#include "tensor/few_rows_kernel.h"
#include "tensor/few_rows_table.h"

namespace crate::few {

const Table table_baseline = table;

}  // namespace crate::few
