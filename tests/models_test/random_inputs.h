// SPDX-License-Identifier: Apache-2.0
// Inputs of a model, made at random, and the words of a command line that say how long their open dimensions are.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

namespace ashlar::testing {

struct Range {
  std::int64_t low = 0, high = 0;
};

template <class T> T number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(fmt::format("'{}' is not a number", text));
  return value;
}

inline Range parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const Range range = {number<std::int64_t>(text.substr(0, dash)), number<std::int64_t>(dash == text.npos ? text : text.substr(dash + 1))};
  if (range.low < 0 || range.high < range.low) throw std::invalid_argument(fmt::format("'{}' is not a range of lengths", text));
  return range;
}

inline std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    parts.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// Floats are standard normal, masks ones, other integers in [1, 200), bools either.
inline void fill(Tensor& tensor, bool mask, std::mt19937_64& random) {
  const auto each = [&]<class T>(T, auto&& make) {
    std::generate_n(tensor.mutable_data<T>(), tensor.element_count(), [&] { return static_cast<T>(make(random)); });
  };
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> integer(1, mask ? 1 : 199), coin(0, 1);
  switch (tensor.dtype()) {
    case DType::kFloat32: return each(float{}, normal);
    case DType::kInt32: return each(std::int32_t{}, integer);
    case DType::kInt64: return each(std::int64_t{}, integer);
    case DType::kBool: return each(bool{}, coin);
    default: throw std::invalid_argument(fmt::format("inputs of {} are not made here", to_string(tensor.dtype())));
  }
}

/// Makes inputs of a model, the shapes and the elements at random; the first set has the largest shapes.
class RandomInputs {
 public:
  RandomInputs(const Session& session, const std::map<std::string, Range>& lengths) : infos_(session.inputs()), ranges_(lengths) {}

  NamedValues next() {
    std::map<std::string, std::int64_t> lengths;
    for (const auto& [symbol, range] : ranges_)
      lengths[symbol] = first_ ? range.high : std::uniform_int_distribution<std::int64_t>(range.low, range.high)(random_);
    first_ = false;
    NamedValues values;
    for (const ValueInfo& info : infos_) {
      if (info.has_default) continue;
      if (!info.type.shape) throw std::invalid_argument(fmt::format("input {} has no declared rank", info.name));
      std::vector<std::int64_t> dims;
      for (const Dim& dim : *info.type.shape) {
        if (!dim.fixed() && !lengths.contains(dim.symbol))
          throw std::invalid_argument(fmt::format("input {} is {}: how long is {}?", info.name, info.type.to_string(), dim.symbol));
        dims.push_back(dim.fixed() ? dim.value : lengths.at(dim.symbol));
      }
      Tensor tensor = Tensor::zeros(info.type.dtype, Shape(dims));
      fill(tensor, info.name.find("mask") != std::string::npos, random_);
      values.add(info.name, std::move(tensor));
    }
    return values;
  }

 private:
  const std::vector<ValueInfo>& infos_;
  const std::map<std::string, Range>& ranges_;
  std::mt19937_64 random_{1};
  bool first_ = true;
};

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

}  // namespace ashlar::testing
