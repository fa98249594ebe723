// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/export.h>
#include <ashlar/tensor.h>

namespace ashlar::inline v0 {

class Value;

/// A list of values of one type.
struct Sequence {
  DType element_dtype = DType::kUndefined;  ///< the elements' dtype, which an empty sequence of tensors has too
  std::vector<Value> elements;
};

/// A value that may be absent.
struct Optional {
  std::shared_ptr<const Value> value;  ///< null when absent
};

/// A map from integer or string keys to values (ONNX's map type): two parallel lists in the model's order.
struct Map {
  Tensor keys;  ///< one-dimensional, an integer dtype or strings
  std::vector<Value> values;
};

/// What flows along an edge of a model: a Tensor, a Sequence, an Optional or a Map. Cheap to copy: storage is shared.
class ASHLAR_API Value {
 public:
  /// A tensor without dtype: stands for "not given".
  Value() = default;
  Value(Tensor tensor) : held_(std::move(tensor)) {}
  Value(Sequence sequence) : held_(std::move(sequence)) {}
  Value(Optional optional) : held_(std::move(optional)) {}
  Value(Map map) : held_(std::move(map)) {}

  bool is_tensor() const noexcept { return std::holds_alternative<Tensor>(held_); }
  bool is_sequence() const noexcept { return std::holds_alternative<Sequence>(held_); }
  bool is_optional() const noexcept { return std::holds_alternative<Optional>(held_); }
  bool is_map() const noexcept { return std::holds_alternative<Map>(held_); }
  /// False for a default-constructed Value.
  bool defined() const noexcept { return !is_tensor() || std::get<Tensor>(held_).defined(); }

  /// Each throws Error (kInvalidArgument), naming what the value is, when it is something else.
  const Tensor& tensor() const;
  Tensor& tensor();
  const Sequence& sequence() const;
  const Optional& optional() const;
  const Map& map() const;

  /// "float32[1,10]", "sequence(float32) of 3", "optional: absent", ...
  std::string type_string() const;

 private:
  std::variant<Tensor, Sequence, Optional, Map> held_;
};

/// Values by name. Order does not matter on input; on output it is the graph's.
class ASHLAR_API NamedValues {
 public:
  using Item = std::pair<std::string, Value>;
  NamedValues() = default;
  NamedValues(std::initializer_list<Item> items) : items_(items) {}

  void add(std::string name, Value value) { items_.emplace_back(std::move(name), std::move(value)); }
  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }
  const Item& operator[](std::size_t i) const { return items_[i]; }
  /// The value of that name. Throws Error (kNotFound) with the nearest name there is.
  const Value& at(const std::string& name) const;
  bool contains(const std::string& name) const noexcept;
  auto begin() const noexcept { return items_.begin(); }
  auto end() const noexcept { return items_.end(); }

 private:
  std::vector<Item> items_;
};

}  // namespace ashlar::inline v0
