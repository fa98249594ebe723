// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/optimizer/random_graphs/graph_writer.h"

namespace ashlar::testing {

/// The value through so many operators that keep its shape.
Known shape_kept(GraphWriter& w, Known v, int steps);

void add_elementwise(GraphWriter& w);
void add_integers(GraphWriter& w);
void add_movement(GraphWriter& w);
void add_shape_chain(GraphWriter& w);
void add_reduction(GraphWriter& w);
void add_product(GraphWriter& w);
void add_convolution(GraphWriter& w);
void add_activation(GraphWriter& w);
void add_normalization(GraphWriter& w);
void add_attention(GraphWriter& w);
void add_decoder_attention(GraphWriter& w);
void add_pixel_shuffle(GraphWriter& w);
void add_quantization(GraphWriter& w);
void add_rare(GraphWriter& w);
void add_repetition(GraphWriter& w);
void add_written_out(GraphWriter& w);
void add_branch(GraphWriter& w);
void add_loop(GraphWriter& w);

}  // namespace ashlar::testing
