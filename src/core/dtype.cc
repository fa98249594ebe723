// SPDX-License-Identifier: Apache-2.0
#include <ashlar/dtype.h>

namespace ashlar::inline v0 {
namespace {

struct Row {
  std::string_view name;
  int bits;
};

// clang-format off
constexpr Row kRows[kDTypeCount] = {
    {"undefined", 0},     {"float32", 32},        {"uint8", 8},           {"int8", 8},         {"uint16", 16},
    {"int16", 16},        {"int32", 32},          {"int64", 64},          {"string", 0},       {"bool", 8},
    {"float16", 16},      {"float64", 64},        {"uint32", 32},         {"uint64", 64},      {"complex64", 64},
    {"complex128", 128},  {"bfloat16", 16},       {"float8e4m3fn", 8},    {"float8e4m3fnuz", 8}, {"float8e5m2", 8},
    {"float8e5m2fnuz", 8}, {"uint4", 4},          {"int4", 4},            {"float4e2m1", 4},   {"float8e8m0", 8},
    {"uint2", 2},         {"int2", 2},            {"float6e2m3", 8},      {"float6e3m2", 8},
};
// clang-format on

const Row& row(DType dtype) noexcept {
  const auto i = static_cast<std::size_t>(dtype);
  return kRows[i < kDTypeCount ? i : 0];
}

}  // namespace

std::string_view to_string(DType dtype) noexcept { return row(dtype).name; }

std::optional<DType> dtype_from_string(std::string_view name) noexcept {
  for (int i = 1; i < kDTypeCount; ++i)
    if (kRows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

int bit_width(DType dtype) noexcept { return row(dtype).bits; }

std::size_t byte_size(DType dtype, std::size_t count) noexcept {
  const auto bits = static_cast<std::size_t>(row(dtype).bits);
  return bits >= 8 ? count * (bits / 8) : (count * bits + 7) / 8;
}

}  // namespace ashlar::inline v0
