// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ashlar::graph {

/// How deep bodies may stand within bodies. Walks over a graph recurse into bodies no deeper than this; verify() refuses more.
inline constexpr int kMaxNesting = 64;

}  // namespace ashlar::graph
