// SPDX-License-Identifier: Apache-2.0
#include "dims.h"

#include <algorithm>
#include <charconv>

#include "fail.h"

namespace ashlar::cli {
namespace {

const ValueType& tensor_type(const ValueType& type) {
  const ValueType* t = &type;
  while (t->kind != ValueType::Kind::kTensor && t->element) t = t->element.get();
  return *t;
}

bool agrees(std::int64_t known, std::int64_t dim) { return known < 0 || known == dim; }

}  // namespace

std::vector<std::int64_t> parse_dims(std::string_view text) {
  std::vector<std::int64_t> dims;
  for (std::string_view rest = text; !rest.empty();) {
    std::int64_t dim = -1;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
    if (code != std::errc() || dim < 0) fail("'{}' is not a shape; write it like 1x3x224x224", text);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.empty() && rest.front() != 'x' && rest.front() != ',') fail("'{}' is not a shape; write it like 1x3x224x224", text);
    if (rest.size() == 1) fail("'{}' is not a shape; write it like 1x3x224x224", text);
    if (!rest.empty()) rest.remove_prefix(1);
    dims.push_back(dim);
  }
  const Shape checked(dims);
  return {checked.begin(), checked.end()};
}

std::string describe(DType dtype, const KnownShape& known) {
  if (!known) return fmt::format("{} of any rank", to_string(dtype));
  std::string dims;
  for (std::int64_t d : *known) dims += (dims.empty() ? "" : ",") + (d < 0 ? std::string("?") : std::to_string(d));
  return fmt::format("{}[{}]", to_string(dtype), dims);
}

void ShapeBook::set(const ValueInfo& info, const std::vector<std::int64_t>& given) {
  const Shape shape(given);
  const auto& declared = tensor_type(info.type).shape;
  bool fits = !declared || declared->size() == given.size();
  for (std::size_t i = 0; fits && declared && i < given.size(); ++i) fits = agrees((*declared)[i].value, given[i]);
  if (!fits) fail("input '{}' is {}, --shape says {}", info.name, info.type.to_string(), shape.to_string());
  given_[info.name] = given;
  learn(info, shape);
}

void ShapeBook::learn(const ValueInfo& info, const Shape& shape) {
  const auto& declared = tensor_type(info.type).shape;
  if (!declared || declared->size() != shape.size()) return;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const Dim& d = (*declared)[i];
    if (!d.fixed() && !d.symbol.empty()) symbols_.try_emplace(d.symbol, shape[i]);
  }
}

KnownShape ShapeBook::known(const ValueInfo& info) const {
  if (const auto it = given_.find(info.name); it != given_.end()) return it->second;
  const auto& declared = tensor_type(info.type).shape;
  if (!declared) return std::nullopt;
  std::vector<std::int64_t> dims;
  for (const Dim& d : *declared) {
    const auto symbol = symbols_.find(d.symbol);
    dims.push_back(d.fixed() ? d.value : symbol != symbols_.end() && !d.symbol.empty() ? symbol->second : -1);
  }
  return dims;
}

Shape fit_count(DType dtype, const KnownShape& known, std::int64_t count) {
  if (!known) return Shape{count};
  if (std::count(known->begin(), known->end(), -1) > 1)
    fail("{} elements are given and the input is {}: say its shape with --shape", count, describe(dtype, known));
  Shape shape(*known);
  std::int64_t* unknown = nullptr;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] < 0) unknown = &shape[i];
  if (unknown) *unknown = 1;
  const std::int64_t rest = shape.element_count();
  const bool fits = unknown ? rest > 0 && count % rest == 0 : rest == count;
  if (!fits) fail("{} elements do not fit {}", count, describe(dtype, known));
  if (unknown) *unknown = count / rest;
  return shape;
}

void require_shape(DType dtype, const KnownShape& known, const Shape& shape) {
  if (!known) return;
  bool fits = known->size() == shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = agrees((*known)[i], shape[i]);
  if (!fits) fail("the value has shape {}, the input is {}", shape.to_string(), describe(dtype, known));
}

}  // namespace ashlar::cli
