// SPDX-License-Identifier: Apache-2.0
#include <ashlar/model.h>

namespace ashlar::inline v0 {

std::string ValueType::to_string() const {
  switch (kind) {
    case Kind::kSequence: return "sequence(" + (element ? element->to_string() : std::string("?")) + ")";
    case Kind::kOptional: return "optional(" + (element ? element->to_string() : std::string("?")) + ")";
    case Kind::kMap: return "map(" + std::string(ashlar::to_string(key)) + ", " + (element ? element->to_string() : std::string("?")) + ")";
    case Kind::kTensor:
    case Kind::kSparseTensor: break;
  }
  std::string out = std::string(kind == Kind::kSparseTensor ? "sparse " : "") +
                    (dtype == DType::kUndefined ? "?" : std::string(ashlar::to_string(dtype)));
  if (!shape) return out + "[...]";
  out += "[";
  for (std::size_t i = 0; i < shape->size(); ++i) {
    const Dim& d = (*shape)[i];
    out += (i ? "," : "") + (d.fixed() ? std::to_string(d.value) : d.symbol.empty() ? "?" : d.symbol);
  }
  return out + "]";
}

}  // namespace ashlar::inline v0
