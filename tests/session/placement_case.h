// SPDX-License-Identifier: Apache-2.0
// What tests of placement share: a provider that takes little, devices, sessions of models written as text.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include <ashlar/ashlar.h>
#include <ashlar/provider/table_provider.h>

#include "tests/support/device_providers.h"
#include "tests/support/text_model.h"

namespace ashlar::testing {

using Policy = SessionOptions::Policy;

/// Takes little, and says why.
namespace narrow {
using namespace provider;

inline provider::Verdict relu(const NodeView& node) {
  const ValueView x = node.input(0);
  ASHLAR_REQUIRE(x.dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "Relu of ", dtype_name(x.dtype()), " has no kernel");
  ASHLAR_REQUIRE(x.rank() >= 0, ASHLAR_UNKNOWN_SHAPE, "Relu of unknown rank has no kernel");
  ASHLAR_REQUIRE(x.rank() <= 2, ASHLAR_RANK, "Relu of rank ", x.rank(), " has no kernel");
  for (int i = 0; i < x.rank(); ++i) ASHLAR_REQUIRE(x.dim(i) >= 0, ASHLAR_DYNAMIC_SHAPE, "dimension ", i, " of Relu's input is not fixed");
  return accept({.operations = 7, .bytes = 11, .launch_ns = 12, .nanoseconds = 13});
}
inline provider::Verdict softmax(const NodeView& node) {
  ASHLAR_REQUIRE(node.integer("axis", -1) == -1, ASHLAR_ATTRIBUTE, "Softmax along axis ", node.integer("axis"), " has no kernel");
  return accept();
}
inline provider::Verdict matmul(const NodeView& node) {
  ASHLAR_REQUIRE(node.input(1).constant(), ASHLAR_LAYOUT, "MatMul wants packed weights");
  return accept();
}
inline provider::Verdict non_zero(const NodeView&) { return refuse(ASHLAR_CAPTURE_INCOMPATIBLE, "NonZero waits for the device"); }

class Fill final : public Kernel {
 public:
  explicit Fill(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override { std::memset(context.output(0).raw(), 0, context.output(0).bytes()); }
};

inline constexpr KernelEntry kTable[] = {{"Relu", 6, kLatest, &relu, &make<Fill>},
                                         {"Neg", 6, 6, nullptr, &make<Fill>},
                                         {"Softmax", 13, kLatest, &softmax, &make<Fill>},
                                         {"MatMul", 1, kLatest, &matmul, &make<Fill>},
                                         {"NonZero", 1, kLatest, &non_zero, &make<Fill>}};
inline constexpr std::span<const KernelEntry> kTables[] = {kTable};

struct Narrow {
  static constexpr const char* name = "narrow";
  static constexpr const char* version = "1";
  static std::span<const std::span<const KernelEntry>> kernels() { return kTables; }
};
}  // namespace narrow

inline void add_providers() {
  static const bool added = (add_provider("narrow", &provider::TableProvider<narrow::Narrow>::entry), add_provider("lazy", &lazy_provider),
                             add_provider("async", &async_provider), true);
  static_cast<void>(added);
}

inline Session session_of(const char* text, SessionOptions options) {
  add_providers();
  options.passes = PassOptions::none();
  return Session(text_model(text), options);
}

inline const NodePlacement& node_of(const Session& session, const std::string& op) {
  for (const NodePlacement& n : session.placement().nodes)
    if (n.op == op) return n;
  throw std::runtime_error("no node is a " + op);
}

inline const Verdict& verdict_of(const Session& session, const std::string& op, const std::string& provider) {
  for (const Verdict& v : node_of(session, op).verdicts)
    if (v.provider == provider) return v;
  throw std::runtime_error("no verdict of " + provider);
}

inline constexpr const char* kHead = R"(<ir_version: 10, opset_import: ["": 21]> g )";
inline std::string graph(const std::string& text) { return kHead + text; }

/// One kernel that is worth two copies, and one that is not.
inline constexpr const char* kTwoKernels = R"((float[2048] x, float[256, 256] a, float[256, 256] b) => (float[2048] y, float[256, 256] c) {
  y = Relu(x)
  c = MatMul(a, b)
})";

}  // namespace ashlar::testing
