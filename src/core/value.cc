// SPDX-License-Identifier: Apache-2.0
#include <ashlar/value.h>

#include <ashlar/error.h>

#include "core/text.h"

namespace ashlar::inline v0 {
namespace {

template <class T, class Held> T& get(Held& held, const Value& value, const char* wanted) {
  if (auto* p = std::get_if<std::remove_const_t<T>>(&held)) return *p;
  throw Error(ErrorCode::kInvalidArgument, "the value is " + value.type_string() + ", not " + wanted);
}

}  // namespace

const Tensor& Value::tensor() const { return get<const Tensor>(held_, *this, "a tensor"); }
Tensor& Value::tensor() { return get<Tensor>(held_, *this, "a tensor"); }
const Sequence& Value::sequence() const { return get<const Sequence>(held_, *this, "a sequence"); }
const Optional& Value::optional() const { return get<const Optional>(held_, *this, "an optional"); }
const Map& Value::map() const { return get<const Map>(held_, *this, "a map"); }

std::string Value::type_string() const {
  if (is_tensor()) return std::get<Tensor>(held_).type_string();
  if (is_sequence()) {
    const Sequence& s = std::get<Sequence>(held_);
    const std::string element = s.element_dtype != DType::kUndefined ? std::string(to_string(s.element_dtype))
                                : s.elements.empty()                 ? "undefined"
                                                                     : s.elements[0].type_string();
    return "sequence(" + element + ") of " + std::to_string(s.elements.size());
  }
  if (is_optional()) {
    const Optional& o = std::get<Optional>(held_);
    return "optional: " + (o.value ? o.value->type_string() : std::string("absent"));
  }
  return "map of " + std::to_string(std::get<Map>(held_).values.size());
}

const Value& NamedValues::at(const std::string& name) const {
  std::vector<std::string> names;
  for (const Item& i : items_) {
    if (i.first == name) return i.second;
    names.push_back(i.first);
  }
  throw Error(ErrorCode::kNotFound, "no value is named '" + core::printable(name) + "'" + core::suggestion(name, names));
}

bool NamedValues::contains(const std::string& name) const noexcept {
  for (const Item& i : items_)
    if (i.first == name) return true;
  return false;
}

}  // namespace ashlar::inline v0
