// SPDX-License-Identifier: Apache-2.0
// TfIdfVectorizer. The pool's n-grams are a tree of items; from every place of a row, for every distance between items that
// max_skip_count allows, the tree is followed as far as it goes, and each n-gram met is counted. Single items are met once only.
#include <algorithm>
#include <map>
#include <string>
#include <type_traits>

#include "packed.h"

namespace ashlar::reference {
namespace {

using namespace provider;

template <class Item> class GramTree {
 public:
  /// Adds the gram; finding it answers `id`.
  void add(const Item* gram, std::int64_t length, std::int64_t id) {
    std::size_t at = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      const auto [place, added] = nodes_[at].next.try_emplace(gram[i], nodes_.size());
      at = place->second;
      if (added) nodes_.emplace_back();
    }
    nodes_[at].id = id;
  }

  /// found(length, id) for each gram that starts at `first` and goes on by `distance`, the shortest first.
  template <class Found> void follow(const std::vector<Item>& row, std::size_t first, std::size_t distance, Found found) const {
    std::size_t at = 0;
    for (std::int64_t length = 1; first < row.size(); ++length) {
      const auto place = nodes_[at].next.find(row[first]);
      if (place == nodes_[at].next.end()) return;
      at = place->second;
      if (nodes_[at].id >= 0) found(length, nodes_[at].id);
      if (distance >= row.size() - first) return;
      first += distance;
    }
  }

 private:
  struct Node {
    std::map<Item, std::size_t> next;
    std::int64_t id = -1;
  };
  std::vector<Node> nodes_{1};
};

Verdict tfidf_verdict(const NodeView& node) {
  const std::string mode = node.text("mode");
  ASHLAR_REQUIRE(mode == "TF" || mode == "IDF" || mode == "TFIDF", ASHLAR_ATTRIBUTE, "TfIdfVectorizer has no mode ", mode);
  ASHLAR_REQUIRE(node.has("pool_strings") != node.has("pool_int64s"), ASHLAR_ATTRIBUTE,
                 "TfIdfVectorizer needs one of pool_strings and pool_int64s");
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(node.has("pool_strings") ? dtype == DType::kString : dtype == DType::kInt32 || dtype == DType::kInt64,
                 ASHLAR_NO_KERNEL_DTYPE, "TfIdfVectorizer of ", dtype_name(dtype), " has no kernel for this pool");
  return accept();
}

class TfIdfVectorizer final : public Kernel {
 public:
  explicit TfIdfVectorizer(const NodeView& node)
      : mode_(node.text("mode")), least_(node.integer("min_gram_length", 1)), most_(node.integer("max_gram_length", 1)),
        skips_(node.integer("max_skip_count", 0)), columns_(node.integers("ngram_indexes")), weights_(node.reals("weights")) {
    for (const std::int64_t column : columns_) {
      check(column >= 0 && column < INT32_MAX, "ngram_indexes has ", column);
      width_ = std::max(width_, column + 1);
    }
    check(weights_.empty() || static_cast<std::int64_t>(weights_.size()) >= width_, "weights has ", weights_.size(), " elements for ",
          width_, " columns");
    check(least_ >= 1 && least_ <= most_ && skips_ >= 0, "gram lengths from ", least_, " to ", most_, " with ", skips_,
          " skips are not possible");
    const std::vector<std::int64_t> starts = node.integers("ngram_counts");
    load(integers_, node.integers("pool_int64s"), starts);
    load(strings_, node.texts("pool_strings"), starts);
  }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() <= 2, "the input has the shape ", in);
    const Dims out = in.rank() == 2 ? Dims{in[0], width_} : Dims{width_};
    checked_count(out);
    context.set_output(0, out);
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0), out = context.output(0);
    const std::int64_t rows = in.rank() == 2 ? in.dim(0) : 1;
    const std::int64_t length = rows == 0 ? 0 : in.count() / rows;
    clear_elements(out, 0, out.count());
    const std::vector<std::int64_t> numbers = in.dtype() == DType::kString ? std::vector<std::int64_t>() : in.indices();
    for (std::int64_t r = 0; r < rows; ++r) {
      float* to = out.mutable_data<float>() + r * width_;
      if (in.dtype() == DType::kString) {
        std::vector<std::string> row;
        for (std::int64_t i = 0; i < length; ++i) row.emplace_back(in.string(r * length + i));
        count(strings_, row, to);
      } else {
        count(integers_, std::vector<std::int64_t>(numbers.begin() + r * length, numbers.begin() + (r + 1) * length), to);
      }
      if (mode_ == "TF") continue;
      for (std::int64_t i = 0; i < width_; ++i) {
        if (mode_ == "IDF") to[i] = to[i] > 0 ? 1.0f : 0.0f;
        if (!weights_.empty()) to[i] *= weights_[static_cast<std::size_t>(i)];
      }
    }
  }

 private:
  template <class Item> void load(GramTree<Item>& tree, const std::vector<Item>& pool, const std::vector<std::int64_t>& starts) const {
    const auto size = static_cast<std::int64_t>(pool.size());
    std::int64_t id = 0;
    for (std::size_t i = 0; i < starts.size() && size > 0; ++i) {
      const auto length = static_cast<std::int64_t>(i) + 1;
      const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : size;
      check(starts[i] >= 0 && starts[i] <= end && end <= size && (end - starts[i]) % length == 0, "ngram_counts does not fit a pool of ",
            size);
      for (std::int64_t at = starts[i]; at < end; at += length, ++id) {
        check(id < static_cast<std::int64_t>(columns_.size()), "ngram_indexes has ", columns_.size(), " elements, the pool more n-grams");
        if (length >= least_ && length <= most_) tree.add(&pool[static_cast<std::size_t>(at)], length, id);
      }
    }
  }

  template <class Item> void count(const GramTree<Item>& tree, const std::vector<Item>& row, float* to) const {
    const auto size = static_cast<std::int64_t>(row.size());
    for (std::int64_t distance = 1; distance <= std::min(skips_, size) + 1; ++distance) {
      for (std::int64_t first = 0; first < size; ++first) {
        tree.follow(row, static_cast<std::size_t>(first), static_cast<std::size_t>(distance), [&](std::int64_t length, std::int64_t id) {
          if (length > 1 || distance == 1) ++to[columns_[static_cast<std::size_t>(id)]];
        });
      }
    }
  }

  std::string mode_;
  std::int64_t least_, most_, skips_, width_ = 0;
  std::vector<std::int64_t> columns_;
  std::vector<float> weights_;
  GramTree<std::int64_t> integers_;
  GramTree<std::string> strings_;
};

constexpr KernelEntry kTable[] = {{"TfIdfVectorizer", 9, kLatest, &tfidf_verdict, &make<TfIdfVectorizer>}};

}  // namespace

std::span<const provider::KernelEntry> tfidf_kernels() { return kTable; }

}  // namespace ashlar::reference
