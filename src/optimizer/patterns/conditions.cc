// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/rewriter.h"

namespace ashlar::optimizer {
namespace {

/// The elements of an integer constant of one dimension or none.
std::optional<std::vector<std::int64_t>> integers(const Editor& editor, ValueId v) {
  const Tensor* t = editor.constant(v);
  if (!t || t->dtype() != DType::kInt64 || t->shape().rank() > 1) return std::nullopt;
  std::vector<std::int64_t> out(static_cast<std::size_t>(t->element_count()));
  if (!out.empty()) std::memcpy(out.data(), t->raw(), t->bytes());
  return out;
}

}  // namespace

bool is_number(Match& match, std::string_view name, std::string_view beside) {
  const Editor& editor = match.editor;
  const ValueId v = match.value(name), other = match.value(beside);
  const auto number = editor.scalar(v);
  if (!number || !std::isfinite(*number)) return match.fail(match.name_of(name) + " is not one number");
  const std::size_t rank = *editor.rank(v);
  if (rank == 0 || (editor.rank(other) && *editor.rank(other) >= rank)) return true;
  return match.fail(match.name_of(name) + " may add dimensions");
}

bool is_float(Match& match, std::string_view name) {
  const DType dtype = match.editor.dtype(match.value(name));
  if (dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16) return true;
  return match.fail(match.name_of(name) + " is " + std::string(to_string(dtype)));
}

std::optional<std::vector<std::size_t>> axes(Match& match, std::string_view name, std::size_t rank) {
  const auto numbers = integers(match.editor, match.value(name));
  std::vector<std::size_t> out;
  const auto r = static_cast<std::int64_t>(rank);
  for (const std::int64_t axis : numbers.value_or(std::vector<std::int64_t>())) {
    if (axis < -r || axis >= r) return std::nullopt;
    out.push_back(static_cast<std::size_t>(axis < 0 ? axis + r : axis));
  }
  std::sort(out.begin(), out.end());
  if (out.empty() || std::adjacent_find(out.begin(), out.end()) != out.end()) return std::nullopt;
  return out;
}

bool is_parameter(Match& match, std::string_view name, std::size_t rank, const std::vector<std::size_t>& along,
                  const std::vector<std::int64_t>& sizes) {
  const Tensor* t = match.editor.constant(match.value(name));
  std::vector<std::int64_t> wanted(rank, 1);
  for (std::size_t i = 0; i < along.size(); ++i) wanted[along[i]] = sizes[i];
  if (t && t->shape().size() <= rank) {
    std::vector<std::int64_t> dims(rank - t->shape().size(), 1);
    dims.insert(dims.end(), t->shape().begin(), t->shape().end());
    if (dims == wanted) return true;
  }
  return match.fail(match.name_of(name) + " is " + (t ? t->type_string() : "no constant") + ", not " + Shape(wanted).to_string() +
                    " or the same without leading ones");
}

std::string with_shape(const Match& match, std::string_view name) {
  std::string out = match.name_of(name) + " ";
  const ops::SymbolicShape* shape = match.editor.shape(match.value(name));
  if (!shape) return out + "of unknown rank";
  out += "[";
  for (std::size_t i = 0; i < shape->size(); ++i) out += (i ? "," : "") + match.editor.model().dims.to_string((*shape)[i]);
  return out + "]";
}

void reshape_constant(Match& match, Patch& patch, std::string_view name, const std::vector<std::int64_t>& dims, std::string as) {
  const ValueId v = match.value(name);
  const Tensor* t = match.editor.constant(v);
  const Shape shape(dims);
  match.set(std::move(as), t->shape() == shape ? v : patch.constant(std::string(name), t->reshaped(shape)));
}

Tensor ones(DType dtype, const std::vector<std::int64_t>& dims) {
  Tensor out = Tensor::zeros(dtype, Shape(dims));
  const Tensor one = *ops::scalar_of(dtype, 1);
  auto* to = static_cast<char*>(out.mutable_raw());
  for (std::size_t at = 0; at < out.bytes(); at += one.bytes()) std::memcpy(to + at, one.raw(), one.bytes());
  return out;
}

}  // namespace ashlar::optimizer
