// SPDX-License-Identifier: Apache-2.0
#include "optimizer/patterns/conditions.h"

namespace ashlar::optimizer {
namespace {

// PyTorch's order of a channel's parts, and TensorFlow's.
constexpr const char* kColumns = R"(
before
  r = Reshape(x, to)
  ! t = Transpose(r) {perm=[0,1,4,2,5,3]}
  y = Reshape(t, back)
after
  y = DepthToSpace(x) {blocksize=$block, mode="CRD"}
)";
constexpr const char* kDepth = R"(
before
  r = Reshape(x, to)
  ! t = Transpose(r) {perm=[0,3,4,1,5,2]}
  y = Reshape(t, back)
after
  y = DepthToSpace(x) {blocksize=$block, mode="DCR"}
)";
constexpr const char* kSpace = R"(
before
  r = Reshape(x, to)
  ! t = Transpose(r) {perm=[0,3,5,1,2,4]}
  y = Reshape(t, back)
after
  y = SpaceToDepth(x) {blocksize=$block, mode="DCR"}
)";
constexpr const char* kUnshuffle = R"(
before
  r = Reshape(x, to)
  ! t = Transpose(r) {perm=[0,1,3,5,2,4]}
  y = Reshape(t, back)
after
  y = SpaceToDepth(x) {blocksize=$block, mode="CRD"}
)";

using Dims = ops::SymbolicShape;

/// Whether r has the block at two places, x is r with dimensions joined as `inner` says, and y is t joined as `outer` says: lists of how many
/// dimensions of theirs make one.
bool is_block(Match& match, std::size_t first, std::size_t second, std::initializer_list<std::size_t> inner,
              std::initializer_list<std::size_t> outer) {
  const Editor& editor = match.editor;
  const Dims *x = editor.shape(match.value("x")), *r = editor.shape(match.value("r")), *t = editor.shape(match.value("t")),
             *y = editor.shape(match.value("y"));
  if (!x || !r || !t || !y || x->size() != 4 || r->size() != 6 || y->size() != 4) return match.fail("the ranks are not 4, 6 and 4");
  const auto block = (*r)[first].value();
  if (!block || *block < 1 || (*r)[second] != (*r)[first]) return match.fail(match.name_of("r") + " has no block of equal sides");
  const auto joined = [](const Dims& parts, std::initializer_list<std::size_t> groups) {
    Dims out;
    std::size_t at = 0;
    for (const std::size_t count : groups) {
      std::optional<ops::DimExpr> product = ops::DimExpr(1);
      for (std::size_t i = 0; i < count && product; ++i) product = ops::DimExpr::multiply(*product, parts[at + i]);
      at += count;
      out.push_back(product.value_or(ops::DimExpr(-1)));
    }
    return out;
  };
  if (*x != joined(*r, inner)) return match.fail(match.name_of("r") + " does not split the dimensions of " + match.name_of("x"));
  if (*y != joined(*t, outer)) return match.fail(match.name_of("y") + " does not join the dimensions of " + match.name_of("t"));
  match.set_attribute("block", *block);
  return true;
}

bool splits_columns(Match& match) { return is_block(match, 2, 3, {1, 3, 1, 1}, {1, 1, 2, 2}); }
bool splits_depth(Match& match) { return is_block(match, 1, 2, {1, 3, 1, 1}, {1, 1, 2, 2}); }
bool splits_space(Match& match) { return is_block(match, 3, 5, {1, 1, 2, 2}, {1, 3, 1, 1}); }

}  // namespace

Pass fuse_pixel_shuffle() {
  return pattern_pass("fuse-pixel-shuffle", "blocks of pixels moved between channels and space",
                      {{kColumns, &splits_columns}, {kDepth, &splits_depth}, {kSpace, &splits_space}, {kUnshuffle, &splits_space}});
}

}  // namespace ashlar::optimizer
