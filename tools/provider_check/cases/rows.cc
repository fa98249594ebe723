// SPDX-License-Identifier: Apache-2.0
#include "rows.h"

namespace ashlar::comparison {

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const auto part : {elementwise_rows(), move_rows(), index_rows(), reduction_rows(), product_rows(), spatial_rows(), chain_rows()})
    rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

DType dtype(Draw& d, Types types) {
  using enum DType;
  switch (types) {
    case Types::kFloats: return d.pick({kFloat32, kFloat32, kFloat32, kFloat16, kFloat64, kBFloat16});
    case Types::kNumbers:
      return d.pick({kFloat32, kFloat32, kFloat32, kFloat32, kInt64, kInt64, kInt32, kInt32, kFloat16, kFloat64, kBFloat16, kUint8, kInt8,
                     kUint16, kInt16, kUint32, kUint64});
    case Types::kAny:
      return d.pick({kFloat32, kFloat32, kFloat32, kFloat32, kInt64, kInt64, kInt32, kBool, kFloat16, kFloat64, kBFloat16, kUint8, kInt8,
                     kUint16, kInt16, kUint32, kUint64, kString});
    case Types::kIntegers: return d.pick({kInt64, kInt32, kUint8, kInt8, kInt16, kUint16, kUint32, kUint64});
    case Types::kUnsigned: return d.pick({kUint8, kUint16, kUint32, kUint64});
    case Types::kBool: return kBool;
    case Types::kFloat32: break;
  }
  return kFloat32;
}

}  // namespace ashlar::comparison
