// SPDX-License-Identifier: Apache-2.0
// Usage: consumer MODELS_DIR. Runs a primitive of another oneDNN beside Ashlar.
#include <dnnl.hpp>

#include "digits.h"

namespace {

// Rectifies four numbers.
bool use_onednn() {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  std::vector<float> numbers = {-1, 2, -3, 4};
  const dnnl::memory::desc layout({4}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  dnnl::memory memory(layout, engine, numbers.data());
#if DNNL_VERSION_MAJOR < 3
  const dnnl::eltwise_forward::desc operation(dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_relu, layout, 0.0f);
  const dnnl::eltwise_forward::primitive_desc description(operation, engine);
#else
  const dnnl::eltwise_forward::primitive_desc description(engine, dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_relu, layout,
                                                          layout, 0.0f);
#endif
  dnnl::eltwise_forward(description).execute(stream, {{DNNL_ARG_SRC, memory}, {DNNL_ARG_DST, memory}});
  stream.wait();
  return numbers == std::vector<float>{0, 2, 0, 4};
}

}  // namespace

int main(int argc, char** argv) { return argc == 2 && use_onednn() && use_ashlar(argv[1]) == 0 && use_onednn() ? 0 : 1; }
