// SPDX-License-Identifier: Apache-2.0
// Elements as integers that sort as they do, and with their places as entries that sort without ties.
#pragma once

#include <utility>

#include "scalar.h"

namespace ashlar::cpu {

/// An unsigned number that is larger where the element is; NaN is above all and equal to itself, the zeros are equal.
template <class T> auto order_key(T element) {
  using C = Compute<T>;
  using Key = std::conditional_t<sizeof(C) <= 4, std::uint32_t, std::uint64_t>;
  const C value = static_cast<C>(element);
  constexpr Key kTop = Key{1} << (8 * sizeof(Key) - 1);
  if constexpr (std::is_floating_point_v<C>) {
    if (value != value) return static_cast<Key>(~Key{});
    const Key bits = std::bit_cast<Key>(value + C{});
    return static_cast<Key>(bits & kTop ? ~bits : bits | kTop);
  } else if constexpr (std::is_signed_v<C>) {
    return static_cast<Key>(static_cast<Key>(value) ^ kTop);
  } else {
    return static_cast<Key>(value);
  }
}

/// An element and its place, below 2^32. Entries in descending order are elements in descending order (in ascending order where
/// `largest` is false), of equals the lower place first.
template <class T> using Entry = std::conditional_t<sizeof(Compute<T>) <= 4, std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>;

template <class T> Entry<T> make_entry(T element, std::uint32_t place, bool largest) {
  const auto key = order_key(element);
  const auto directed = static_cast<decltype(key)>(largest ? key : ~key);
  if constexpr (sizeof(key) == 4) return std::uint64_t{directed} << 32 | static_cast<std::uint32_t>(~place);
  else return {directed, static_cast<std::uint32_t>(~place)};
}
inline std::int64_t place_of(std::uint64_t entry) { return static_cast<std::uint32_t>(~entry); }
inline std::int64_t place_of(const std::pair<std::uint64_t, std::uint64_t>& entry) { return place_of(entry.second); }

}  // namespace ashlar::cpu
