// SPDX-License-Identifier: Apache-2.0
#include "literal.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "elements.h"
#include "fail.h"

namespace ashlar::cli {
namespace {

using Json = nlohmann::json;

Json parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception&) {
    fail("'{}' is neither a literal (a number, a list, a \"string\") nor @FILE, random, zeros or ones", text.substr(0, 60));
  }
}

class Collector {
 public:
  explicit Collector(DType dtype) : pairs_(is_complex(dtype)) {}

  void collect(const Json& j, std::size_t depth) {
    const bool leaf = !j.is_array() || (pairs_ && j.size() == 2 && j[0].is_number() && j[1].is_number());
    if (leaf) {
      if (leaf_depth_ < 0) leaf_depth_ = static_cast<int>(depth);
      if (static_cast<std::size_t>(leaf_depth_) != depth) ragged();
      leaves.push_back(&j);
      return;
    }
    if (depth >= static_cast<std::size_t>(Shape::kMaxRank)) fail("a literal nests deeper than {} lists", Shape::kMaxRank);
    if (dims.size() <= depth) {
      if (leaf_depth_ >= 0) ragged();
      dims.push_back(static_cast<std::int64_t>(j.size()));
    }
    if (dims[depth] != static_cast<std::int64_t>(j.size())) ragged();
    for (const Json& element : j) collect(element, depth + 1);
  }

  std::vector<std::int64_t> dims;
  std::vector<const Json*> leaves;

 private:
  [[noreturn]] static void ragged() { fail("the literal's lists differ in length or depth"); }
  bool pairs_;
  int leaf_depth_ = -1;
};

void set_element(Tensor& tensor, std::size_t i, const Json& j) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::kString && j.is_string()) {
    tensor.mutable_data<std::string>()[i] = j.get<std::string>();
  } else if (dtype != DType::kString && j.is_boolean()) {
    set_number(tensor, i, j.get<bool>() ? 1 : 0);
  } else if (dtype != DType::kString && j.is_number_unsigned()) {
    set_number(tensor, i, j.get<std::uint64_t>());
  } else if (dtype != DType::kString && j.is_number_integer()) {
    set_number(tensor, i, j.get<std::int64_t>());
  } else if (dtype != DType::kString && j.is_number()) {
    set_number(tensor, i, j.get<double>());
  } else if (is_complex(dtype) && j.is_array()) {
    set_complex(tensor, i, {j[0].get<double>(), j[1].get<double>()});
  } else {
    fail("{} is no element of {}", j.dump(-1, ' ', true, Json::error_handler_t::replace), to_string(dtype));
  }
}

Shape literal_shape(DType dtype, const Shape& written, const KnownShape& known) {
  if (!known) return written;
  const bool one = written.rank() == 0 && std::all_of(known->begin(), known->end(), [](std::int64_t d) { return d == 1 || d < 0; });
  if (one) return Shape(std::vector<std::int64_t>(known->size(), 1));
  const bool flat = written.rank() == 1 && known->size() > 1 && std::count(known->begin(), known->end(), -1) == 0;
  if (flat) return fit_count(dtype, known, written[0]);
  require_shape(dtype, known, written);
  return written;
}

Tensor tensor_of(const Json& j, DType dtype, const KnownShape& known) {
  Collector collector(dtype);
  collector.collect(j, 0);
  Tensor tensor = Tensor::zeros(dtype, literal_shape(dtype, Shape(collector.dims), known));
  for (std::size_t i = 0; i < collector.leaves.size(); ++i) set_element(tensor, i, *collector.leaves[i]);
  return tensor;
}

Value value_of(const Json& j, const ValueType& type, const KnownShape& known, int depth) {
  constexpr int kDeepest = 16;
  if (depth > kDeepest) fail("the input's type nests deeper than {}", kDeepest);
  switch (type.kind) {
    case ValueType::Kind::kTensor: return tensor_of(j, type.dtype, known);
    case ValueType::Kind::kOptional: {
      if (j.is_null()) return Optional{};
      if (!type.element) break;
      return Optional{std::make_shared<const Value>(value_of(j, *type.element, known, depth + 1))};
    }
    case ValueType::Kind::kSequence: {
      if (!type.element) break;
      if (!j.is_array()) fail("a {} is written as a list of its elements", type.to_string());
      Sequence sequence{type.element->dtype, {}};
      for (const Json& element : j) sequence.elements.push_back(value_of(element, *type.element, known, depth + 1));
      return sequence;
    }
    default: break;
  }
  fail("a {} cannot be written as a literal; give it as @FILE.pb", type.to_string());
}

}  // namespace

Value parse_literal(std::string_view text, const ValueType& type, const KnownShape& known) {
  return value_of(parse_json(text), type, known, 0);
}

Tensor parse_numbers(std::string_view text, DType dtype, const KnownShape& known) {
  constexpr std::string_view kSeparators = " \t\r\n,";
  if (dtype == DType::kString) fail("a text file holds numbers; strings are written as JSON literals");
  std::vector<Number> numbers;
  for (std::size_t at = text.find_first_not_of(kSeparators); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    std::string_view word = text.substr(at, end - at);
    if (word.starts_with('+')) word.remove_prefix(1);
    Number number = 0;
    const auto [last, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code != std::errc() || last != word.data() + word.size()) fail("'{}' is not a number", word.substr(0, 40));
    numbers.push_back(number);
    at = text.find_first_not_of(kSeparators, end);
  }
  Tensor tensor = Tensor::zeros(dtype, fit_count(dtype, known, static_cast<std::int64_t>(numbers.size())));
  for (std::size_t i = 0; i < numbers.size(); ++i) set_number(tensor, i, numbers[i]);
  return tensor;
}

}  // namespace ashlar::cli
