// SPDX-License-Identifier: Apache-2.0
#include "shrink.h"

#include <algorithm>
#include <set>
#include <utility>

namespace ashlar::comparison {
namespace {

using List = std::vector<std::uint32_t>;

bool simpler(const List& a, const List& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

class Shrinker {
 public:
  Shrinker(List best, int attempts, const std::function<bool(const List&)>& fails, const std::function<List(const List&)>& normal)
      : best_(std::move(best)), attempts_(attempts), fails_(fails), normal_(normal) {}

  List run() {
    best_ = normal_(best_);
    for (bool progress = true; progress && attempts_ > 0;) {
      progress = false;
      for (const std::size_t width : {32, 16, 8, 4, 2, 1}) progress = edit_spans(width) || progress;
      progress = lower() || progress;
    }
    return std::move(best_);
  }

 private:
  bool accept(const List& edited) {
    const List candidate = normal_(edited);
    if (!simpler(candidate, best_) || attempts_ <= 0 || !seen_.insert(candidate).second) return false;
    --attempts_;
    if (!fails_(candidate)) return false;
    best_ = candidate;
    return true;
  }

  /// Leaves spans out, or makes them zero.
  bool edit_spans(std::size_t width) {
    bool progress = false;
    for (std::size_t at = best_.size(); at-- > 0;) {
      if (at + width > best_.size()) continue;
      List edited = best_;
      edited.erase(edited.begin() + static_cast<std::ptrdiff_t>(at), edited.begin() + static_cast<std::ptrdiff_t>(at + width));
      if (accept(edited)) {
        progress = true;
        continue;
      }
      edited = best_;
      std::fill_n(edited.begin() + static_cast<std::ptrdiff_t>(at), width, 0);
      progress = accept(edited) || progress;
    }
    return progress;
  }

  /// Makes single numbers smaller by halves, then by one.
  bool lower() {
    bool progress = false;
    for (std::size_t at = 0; at < best_.size(); ++at) {
      for (std::uint32_t step = best_[at]; step > 0;) {
        List edited = best_;
        if (step > edited[at]) {
          step = edited[at];
          continue;
        }
        edited[at] -= step;
        if (accept(edited)) progress = true;
        else step /= 2;
        if (at >= best_.size()) break;
      }
    }
    return progress;
  }

  List best_;
  int attempts_;
  const std::function<bool(const List&)>& fails_;
  const std::function<List(const List&)>& normal_;
  std::set<List> seen_;
};

}  // namespace

List shrink(List choices, int attempts, const std::function<bool(const List&)>& fails, const std::function<List(const List&)>& normal) {
  return Shrinker(std::move(choices), attempts, fails, normal).run();
}

}  // namespace ashlar::comparison
