// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/dtype.h>
#include <ashlar/export.h>

namespace ashlar::inline v0 {

/// One dimension of a declared shape: fixed, a named symbol ("batch"), or unknown (no value, no name).
struct Dim {
  std::int64_t value = -1;  ///< -1 when it is not fixed
  std::string symbol;
  bool fixed() const noexcept { return value >= 0; }
};

/// A declared type: what a model says of an input, an output or an intermediate value.
struct ValueType {
  enum class Kind { kTensor, kSequence, kOptional, kMap, kSparseTensor };
  Kind kind = Kind::kTensor;
  DType dtype = DType::kUndefined;           ///< of the tensor, or of the tensors inside
  std::optional<std::vector<Dim>> shape;     ///< nothing when not even the rank is declared
  std::shared_ptr<const ValueType> element;  ///< of a sequence, an optional, or a map's values
  DType key = DType::kUndefined;             ///< of a map

  /// "float32[batch,3,224,224]", "int64[?]", "sequence(float32[...])".
  ASHLAR_API std::string to_string() const;
};

/// A model's input or output.
struct ValueInfo {
  std::string name;
  ValueType type;
  bool has_default = false;  ///< an input with an initializer of the same name, which may be left out
};

/// A loaded ONNX model: its graph, and weights that are spans of the mapped file. Immutable, cheap to copy, usable from any
/// thread; sessions keep what they need of it.
class ASHLAR_API Model {
 public:
  /// Reads an ONNX file and the external data it names. Throws Error: kNotFound or kIo for the file, kInvalidModel (naming
  /// the node, tensor or place) for what is wrong in it, kUnsupported for a domain or opset newer than this library knows.
  static Model load(const std::filesystem::path& file);
  /// The same as load without its weights, for sessions that only plan (SessionOptions::plan_only): external data that is not there reads as zeros,
  /// and takes no memory.
  static Model plan(const std::filesystem::path& file);
  /// As load, from bytes, which are copied; external data is found relative to `directory`.
  static Model parse(std::span<const std::byte> bytes, const std::filesystem::path& directory = {});

  const std::vector<ValueInfo>& inputs() const noexcept;
  const std::vector<ValueInfo>& outputs() const noexcept;

  struct Info {
    std::string file, graph_name, producer_name, producer_version, domain, doc_string;
    std::int64_t ir_version = 0, model_version = 0;
    std::vector<std::pair<std::string, int>> opsets;              ///< domain ("" is the standard one) and version
    std::vector<std::pair<std::string, std::string>> metadata;    ///< metadata_props
    std::vector<std::pair<std::string, std::int64_t>> operators;  ///< operator and how many nodes, subgraphs included
    std::int64_t node_count = 0, initializer_count = 0;           ///< subgraphs included, functions inlined
    std::uint64_t initializer_bytes = 0;
    std::uint64_t mapped_bytes = 0;     ///< of those, spans of mapped files
    std::vector<std::string> findings;  ///< what the checker found but did not refuse
  };
  const Info& info() const noexcept;
  /// The graph's stable text form.
  std::string to_text() const;

  struct Impl;
  explicit Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace ashlar::inline v0
