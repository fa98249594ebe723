// SPDX-License-Identifier: Apache-2.0
// Constants that providers pack: whose they are.
#include <ashlar/ashlar.h>
#include <ashlar/provider/table_provider.h>
#include <gtest/gtest.h>

#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using namespace provider;

/// y = x + factor * w, where w is a constant that was packed by one name, whatever the factor.
template <int kFactor> class Scaled final : public Kernel {
 public:
  explicit Scaled(const NodeView& node) {
    const auto w = node.input(1).constant();
    check(w.has_value(), "the second input is no constant");
    packed_ = static_cast<const float*>(packed(node.host(), *w, "scaled", w->bytes(), [&](void* to) {
      for (std::int64_t i = 0; i < w->count(); ++i) static_cast<float*>(to)[i] = kFactor * w->values<float>()[static_cast<std::size_t>(i)];
    }));
  }
  std::uint64_t shape_only() const override { return 2; }
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    for (std::int64_t i = 0; i < context.output(0).count(); ++i)
      context.output(0).mutable_data<float>()[i] = context.input(0).data<float>()[i] + packed_[i];
  }

 private:
  const float* packed_;
};

template <int kFactor> struct Scaler {
  static constexpr const char* name = kFactor == 2 ? "twice" : "thrice";
  static constexpr const char* version = "1";
  static std::span<const std::span<const KernelEntry>> kernels() {
    static constexpr KernelEntry table[] = {{"Add", 7, kLatest, nullptr, &make<Scaled<kFactor>>}};
    static constexpr std::span<const KernelEntry> tables[] = {table};
    return tables;
  }
};

float first(const Model& model, const char* provider) {
  const Session session(model, {.providers = {provider}});
  return session.run({{"x", Tensor::of<float>({2}, {1, 1})}}).at("y").tensor().data<float>()[0];
}

TEST(Packed, ProvidersDoNotShareConstantsThatTheyPackByOneName) {
  add_provider("twice", &TableProvider<Scaler<2>>::entry);
  add_provider("thrice", &TableProvider<Scaler<3>>::entry);
  const Model model = testing::text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
    g (float[2] x) => (float[2] y) <float[2] w = {10, 20}> { y = Add(x, w) })");
  EXPECT_EQ(first(model, "twice"), 21);
  EXPECT_EQ(first(model, "thrice"), 31);
  EXPECT_EQ(first(model, "twice"), 21);
}

}  // namespace
}  // namespace ashlar
