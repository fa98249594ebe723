// SPDX-License-Identifier: Apache-2.0
// The operators on sequences, optionals and maps, by name.
#include <algorithm>

#include "runtime/core_ops.h"

namespace ashlar::runtime {
namespace {

int normalized(std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank)
    throw Error(ErrorCode::kRuntime, "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

void sequence_construct(const CoreCall& call) {
  Sequence s;
  for (std::size_t i = 0; i < call.step.inputs.size(); ++i) s.elements.push_back(call.input(i));
  if (!s.elements.empty() && s.elements[0].is_tensor()) s.element_dtype = s.elements[0].tensor().dtype();
  call.set_output(0, std::move(s));
}

void sequence_empty(const CoreCall& call) {
  call.set_output(0, Sequence{static_cast<DType>(call.integer("dtype", static_cast<std::int64_t>(DType::kFloat32))), {}});
}

void sequence_at(const CoreCall& call) {
  const Sequence& s = call.input(0).sequence();
  const auto size = static_cast<std::int64_t>(s.elements.size());
  call.set_output(0, s.elements[static_cast<std::size_t>(position(scalar(call.input(1), "the position"), size, false, "position"))]);
}

void sequence_insert(const CoreCall& call) {
  Sequence s = call.input(0).sequence();
  const Value& element = call.input(1);
  if (s.element_dtype != DType::kUndefined && element.tensor().dtype() != s.element_dtype)
    throw Error(ErrorCode::kRuntime,
                element.type_string() + " does not belong into a sequence of " + std::string(to_string(s.element_dtype)));
  s.element_dtype = element.tensor().dtype();
  const auto size = static_cast<std::int64_t>(s.elements.size());
  const std::int64_t at = call.has_input(2) ? position(scalar(call.input(2), "the position"), size, true, "position") : size;
  s.elements.insert(s.elements.begin() + at, element);
  call.set_output(0, std::move(s));
}

void sequence_erase(const CoreCall& call) {
  Sequence s = call.input(0).sequence();
  const auto size = static_cast<std::int64_t>(s.elements.size());
  s.elements.erase(s.elements.begin() + position(call.has_input(1) ? scalar(call.input(1), "the position") : -1, size, false, "position"));
  call.set_output(0, std::move(s));
}

void sequence_length(const CoreCall& call) {
  call.set_output(0, Tensor::scalar(static_cast<std::int64_t>(call.input(0).sequence().elements.size())));
}

void concat_from_sequence(const CoreCall& call) {
  const Sequence& s = call.input(0).sequence();
  if (s.elements.empty()) throw Error(ErrorCode::kRuntime, "an empty sequence cannot be concatenated");
  const bool new_axis = call.integer("new_axis", 0) != 0;
  const int axis = normalized(call.integer("axis", 0), s.elements[0].tensor().shape().rank() + (new_axis ? 1 : 0));
  std::vector<Tensor> tensors;
  for (const Value& v : s.elements) tensors.push_back(new_axis ? unsqueezed(v.tensor(), axis) : v.tensor());
  call.set_output(0, concat(call.frame.pool(), tensors, axis));
}

/// A tensor without elements may still be long: its pieces would take memory that it does not.
constexpr std::int64_t kMostPieces = std::int64_t{1} << 22;

void split_to_sequence(const CoreCall& call) {
  const Tensor& t = call.input(0).tensor();
  const int axis = normalized(call.integer("axis", 0), t.shape().rank());
  const std::int64_t extent = t.shape()[static_cast<std::size_t>(axis)];
  const bool squeeze = !call.has_input(1) && call.integer("keepdims", 1) == 0;
  std::vector<std::int64_t> lengths;
  if (call.has_input(1) && call.input(1).tensor().shape().rank() > 0) {
    const Tensor& split = call.input(1).tensor();
    for (std::int64_t i = 0; i < split.element_count(); ++i)
      lengths.push_back(split.dtype() == DType::kInt32 ? split.data<std::int32_t>()[i] : split.data<std::int64_t>()[i]);
  } else {
    const std::int64_t chunk = call.has_input(1) ? scalar(call.input(1), "the chunk length") : 1;
    if (chunk < 1) throw Error(ErrorCode::kRuntime, "a chunk length of " + std::to_string(chunk));
    if (extent / chunk > kMostPieces) throw Error(ErrorCode::kRuntime, "a split into " + std::to_string(extent / chunk) + " pieces");
    for (std::int64_t at = 0; at < extent; at += chunk) lengths.push_back(std::min(chunk, extent - at));
  }
  Sequence s{t.dtype(), {}};
  std::int64_t at = 0;
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > extent - at) throw Error(ErrorCode::kRuntime, "the splits do not add up to " + std::to_string(extent));
    Tensor part = slice(call.frame.pool(), t, axis, at, at + length);
    s.elements.push_back(squeeze ? squeezed(part, axis) : std::move(part));
    at += length;
  }
  if (at != extent) throw Error(ErrorCode::kRuntime, "the splits do not add up to " + std::to_string(extent));
  call.set_output(0, std::move(s));
}

void optional(const CoreCall& call) {
  call.set_output(0, call.has_input(0) ? Optional{std::make_shared<const Value>(call.input(0))} : Optional{});
}

void optional_has_element(const CoreCall& call) {
  const bool has = call.has_input(0) && (!call.input(0).is_optional() || call.input(0).optional().value);
  call.set_output(0, Tensor::scalar<bool>(has));
}

void optional_get_element(const CoreCall& call) {
  const Value& v = call.input(0);
  if (v.is_optional() && !v.optional().value) throw Error(ErrorCode::kRuntime, "the optional is absent");
  call.set_output(0, v.is_optional() ? Value(*v.optional().value) : v);
}

void identity(const CoreCall& call) { call.set_output(0, call.input(0)); }

/// ai.onnx.ml ZipMap: each row of a matrix becomes a map from the class labels.
void zip_map(const CoreCall& call) {
  const Tensor& t = call.input(0).tensor();
  const std::int64_t rows = t.shape().rank() == 2 ? t.shape()[0] : 1;
  const std::int64_t classes = t.shape().rank() == 0 ? 1 : t.shape()[t.shape().size() - 1];
  const auto* strings = call.node().find_as<std::vector<std::string>>("classlabels_strings");
  const auto integers = call.integers("classlabels_int64s");
  const bool by_string = strings && !strings->empty();
  if (static_cast<std::int64_t>(by_string ? strings->size() : integers.size()) != classes || t.shape().rank() > 2)
    throw Error(ErrorCode::kRuntime,
                t.type_string() + " does not go with " + std::to_string(by_string ? strings->size() : integers.size()) + " class labels");
  Tensor keys = Tensor::zeros(by_string ? DType::kString : DType::kInt64, {classes});
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto i = static_cast<std::size_t>(c);
    if (by_string) keys.mutable_data<std::string>()[c] = (*strings)[i];
    else keys.mutable_data<std::int64_t>()[c] = integers[i];
  }
  Sequence out;
  for (std::int64_t r = 0; r < rows; ++r) {
    Map m{keys, {}};
    for (std::int64_t c = 0; c < classes; ++c) m.values.push_back(Tensor::scalar(t.data<float>()[r * classes + c]));
    out.elements.push_back(std::move(m));
  }
  call.set_output(0, std::move(out));
}

struct Row {
  const char* op;
  void (*run)(const CoreCall&);
};

constexpr Row kRows[] = {
    {"SequenceConstruct", sequence_construct},
    {"SequenceEmpty", sequence_empty},
    {"SequenceAt", sequence_at},
    {"SequenceInsert", sequence_insert},
    {"SequenceErase", sequence_erase},
    {"SequenceLength", sequence_length},
    {"ConcatFromSequence", concat_from_sequence},
    {"SplitToSequence", split_to_sequence},
    {"Optional", optional},
    {"OptionalHasElement", optional_has_element},
    {"OptionalGetElement", optional_get_element},
    {"Identity", identity},
    {"ZipMap", zip_map},
};

}  // namespace

void run_container(const CoreCall& call) {
  const std::string& op = call.node().op_type;
  for (const Row& row : kRows)
    if (op == row.op) return row.run(call);
  throw Error(ErrorCode::kUnsupported, "the core does not run " + call.node().op_name());
}

}  // namespace ashlar::runtime
