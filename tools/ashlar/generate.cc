// SPDX-License-Identifier: Apache-2.0
#include "generate.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <string>

#include <unistd.h>

#include "elements.h"
#include "fail.h"

namespace ashlar::cli {
namespace {

std::uint64_t machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
}

// FNV-1a, 64 bits.
std::uint64_t hash(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3u;
  return h;
}

// The standard library's distributions differ between implementations; its engines do not.
class Source {
 public:
  explicit Source(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  std::mt19937_64 engine_;
};

constexpr Number kIntegersBelow = 10;

}  // namespace

Tensor generate(DType dtype, const Shape& shape, Filling filling, std::uint64_t seed, std::string_view name) {
  const auto count = static_cast<std::size_t>(shape.element_count());
  const std::uint64_t bytes = dtype == DType::kString ? count * sizeof(std::string) : byte_size(dtype, count);
  if (const std::uint64_t memory = machine_memory(); memory != 0 && bytes > memory / 2)
    fail(ErrorCode::kOutOfMemory, "made-up values for {}{} would take {} bytes of this machine's {}", to_string(dtype), shape.to_string(),
         bytes, memory);
  Tensor tensor = Tensor::zeros(dtype, shape);
  Source source(seed ^ hash(name));
  for (std::size_t i = 0; i < count; ++i) {
    if (dtype == DType::kString) {
      std::string& s = tensor.mutable_data<std::string>()[i];
      if (filling == Filling::kOnes) s = "1";
      else if (filling == Filling::kRandom) s = std::to_string(source.below(10));
    } else if (filling != Filling::kRandom) {
      set_number(tensor, i, filling == Filling::kOnes ? 1 : 0);
    } else if (is_complex(dtype)) {
      const double real = source.normal();
      set_complex(tensor, i, {real, source.normal()});
    } else if (is_float(dtype)) {
      const double value = source.normal();
      set_number(tensor, i, dtype == DType::kFloat8E8M0 ? std::fabs(value) : value);
    } else {
      set_number(tensor, i, source.below(static_cast<std::uint64_t>(std::min(integer_max(dtype) + 1, kIntegersBelow))));
    }
  }
  return tensor;
}

}  // namespace ashlar::cli
