// SPDX-License-Identifier: Apache-2.0
// A provider that works: Relu of float32, times the option `scale`, so that a result tells who computed it.
#include <ashlar/provider/table_provider.h>

namespace {

using namespace ashlar::provider;

float scale = 1;  // of the instance made last

Verdict relu_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "Relu of ", dtype_name(dtype), " has no kernel");
  return accept();
}

class Relu final : public Kernel {
 public:
  explicit Relu(const NodeView&) : scale_(scale) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    const auto* x = context.input(0).data<float>();
    auto* y = context.output(0).mutable_data<float>();
    for (std::int64_t i = 0; i < context.output(0).count(); ++i) y[i] = x[i] < 0 ? 0 : x[i] * scale_;
  }

 private:
  float scale_;
};

constexpr KernelEntry kTable[] = {{"Relu", 6, kLatest, &relu_verdict, &make<Relu>}};
constexpr std::span<const KernelEntry> kTables[] = {kTable};

struct Works {
  static constexpr const char* name = "works";
  static constexpr const char* version = "1.2.3";
  static std::span<const std::span<const KernelEntry>> kernels() { return kTables; }
  static void start(const AshlarHost*, const Options& options) {
    options.allow({"scale"});
    scale = std::stof(options.get("scale", "1"));
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const AshlarProvider* ashlar_provider_entry(const AshlarHost* host,
                                                                                              AshlarStatus* status) {
  return TableProvider<Works>::entry(host, status);
}
