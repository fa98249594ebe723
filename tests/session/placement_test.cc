// SPDX-License-Identifier: Apache-2.0
// Placement: a model for every verdict, pins, placement by cost and by profiles, guards, the ledger of copies, what-if.
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include <unistd.h>

#include <ashlar/ashlar.h>
#include <ashlar/provider/table_provider.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/device_providers.h"
#include "tests/support/lazy_device.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::text_model;
using Policy = SessionOptions::Policy;

// ---- A provider that takes little, and says why.

namespace narrow {
using namespace provider;

provider::Verdict relu(const NodeView& node) {
  const ValueView x = node.input(0);
  ASHLAR_REQUIRE(x.dtype() == DType::kFloat32, ASHLAR_NO_KERNEL_DTYPE, "Relu of ", dtype_name(x.dtype()), " has no kernel");
  ASHLAR_REQUIRE(x.rank() >= 0, ASHLAR_UNKNOWN_SHAPE, "Relu of unknown rank has no kernel");
  ASHLAR_REQUIRE(x.rank() <= 2, ASHLAR_RANK, "Relu of rank ", x.rank(), " has no kernel");
  for (int i = 0; i < x.rank(); ++i) ASHLAR_REQUIRE(x.dim(i) >= 0, ASHLAR_DYNAMIC_SHAPE, "dimension ", i, " of Relu's input is not fixed");
  return accept({.operations = 7, .bytes = 11, .launch_ns = 12, .nanoseconds = 13});
}
provider::Verdict softmax(const NodeView& node) {
  ASHLAR_REQUIRE(node.integer("axis", -1) == -1, ASHLAR_ATTRIBUTE, "Softmax along axis ", node.integer("axis"), " has no kernel");
  return accept();
}
provider::Verdict matmul(const NodeView& node) {
  ASHLAR_REQUIRE(node.input(1).constant(), ASHLAR_LAYOUT, "MatMul wants packed weights");
  return accept();
}
provider::Verdict non_zero(const NodeView&) { return refuse(ASHLAR_CAPTURE_INCOMPATIBLE, "NonZero waits for the device"); }

class Fill final : public Kernel {
 public:
  explicit Fill(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override { std::memset(context.output(0).raw(), 0, context.output(0).bytes()); }
};

constexpr KernelEntry kTable[] = {{"Relu", 6, kLatest, &relu, &make<Fill>},
                                  {"Neg", 6, 6, nullptr, &make<Fill>},
                                  {"Softmax", 13, kLatest, &softmax, &make<Fill>},
                                  {"MatMul", 1, kLatest, &matmul, &make<Fill>},
                                  {"NonZero", 1, kLatest, &non_zero, &make<Fill>}};
constexpr std::span<const KernelEntry> kTables[] = {kTable};

struct Narrow {
  static constexpr const char* name = "narrow";
  static constexpr const char* version = "1";
  static std::span<const std::span<const KernelEntry>> kernels() { return kTables; }
};
}  // namespace narrow

void add_providers() {
  static const bool added = (add_provider("narrow", &provider::TableProvider<narrow::Narrow>::entry),
                             add_provider("lazy", &testing::lazy_provider), add_provider("async", &testing::async_provider), true);
  static_cast<void>(added);
}

Session session_of(const char* text, SessionOptions options) {
  add_providers();
  options.passes = PassOptions::none();
  return Session(text_model(text), options);
}

const NodePlacement& node_of(const Session& session, const std::string& op) {
  for (const NodePlacement& n : session.placement().nodes)
    if (n.op == op) return n;
  throw std::runtime_error("no node is a " + op);
}

const Verdict& verdict_of(const Session& session, const std::string& op, const std::string& provider) {
  for (const Verdict& v : node_of(session, op).verdicts)
    if (v.provider == provider) return v;
  throw std::runtime_error("no verdict of " + provider);
}

constexpr const char* kHead = R"(<ir_version: 10, opset_import: ["": 21]> g )";
std::string graph(const std::string& text) { return kHead + text; }

// ---- Codes.

std::string code_of_narrow(const std::string& text, const std::string& op) {
  const Session session = session_of(graph(text).c_str(), {.providers = {"narrow", "reference"}});
  const Verdict& v = verdict_of(session, op, "narrow");
  EXPECT_FALSE(v.reason.empty());
  EXPECT_EQ(node_of(session, op).provider, "reference");
  return v.code;
}

TEST(Codes, OfAProvider) {
  EXPECT_EQ(code_of_narrow("(float[4] x) => (float[4] y) { y = Exp(x) }", "Exp"), "no_kernel_op");
  EXPECT_EQ(code_of_narrow("(double[4] x) => (double[4] y) { y = Relu(x) }", "Relu"), "no_kernel_dtype");
  EXPECT_EQ(code_of_narrow("(float[4] x) => (float[4] y) { y = Neg(x) }", "Neg"), "no_kernel_opset");
  EXPECT_EQ(code_of_narrow("(float[1,1,4] x) => (float[1,1,4] y) { y = Relu(x) }", "Relu"), "rank");
  EXPECT_EQ(code_of_narrow("(float[4,4] x) => (float[4,4] y) { y = Softmax<axis = 0>(x) }", "Softmax"), "attribute");
  EXPECT_EQ(code_of_narrow("(float[4,4] x, float[4,4] w) => (float[4,4] y) { y = MatMul(x, w) }", "MatMul"), "layout");
  EXPECT_EQ(code_of_narrow("(float[] x) => (float[] y) { y = Relu(x) }", "Relu"), "unknown_shape");
  EXPECT_EQ(code_of_narrow("(float[n,4] x) => (float[n,4] y) { y = Relu(x) }", "Relu"), "dynamic_shape");
  EXPECT_EQ(code_of_narrow("(float[4] x) => (int64[1,n] y) { y = NonZero(x) }", "NonZero"), "capture_incompatible");
}

constexpr const char* kTwoKernels = R"((float[2048] x, float[256, 256] a, float[256, 256] b) => (float[2048] y, float[256, 256] c) {
  y = Relu(x)
  c = MatMul(a, b)
})";

TEST(Codes, OfPlacementByCost) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .policy = Policy::kCost});
  EXPECT_EQ(node_of(session, "MatMul").provider, "lazy");
  EXPECT_EQ(verdict_of(session, "MatMul", "reference").code, "cost_model");
  // 16 KiB: the kernel is faster on the device, by less than two copies take.
  EXPECT_EQ(node_of(session, "Relu").provider, "reference");
  const Verdict& v = verdict_of(session, "Relu", "lazy");
  EXPECT_EQ(v.code, "subgraph_too_small");
  EXPECT_THAT(v.reason, AllOf(HasSubstr("there and"), HasSubstr("here"), HasSubstr("its copies"), HasSubstr("2 copies, 16.0 KiB a run")));
  EXPECT_TRUE(v.cost.has_value());
  const Session tiny = session_of(graph("(float[4] x) => (float[4] y) { y = Relu(x) }").c_str(),
                                  {.providers = {"lazy", "reference"}, .policy = Policy::kCost});
  EXPECT_EQ(verdict_of(tiny, "Relu", "lazy").code, "cost_model");
}

TEST(Codes, OfAPin) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .pins = {{"op:MatM*", "reference"}}});
  EXPECT_EQ(node_of(session, "MatMul").provider, "reference");
  EXPECT_EQ(verdict_of(session, "MatMul", "lazy").code, "user_pin");
  EXPECT_THAT(verdict_of(session, "MatMul", "lazy").reason, HasSubstr("'op:MatM*' is pinned to reference"));
  EXPECT_EQ(node_of(session, "Relu").provider, "lazy");
}

std::string library(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "provider_libraries" / (name + ".so")).string();
}

TEST(Codes, OfWhatCannotBeHad) {
  if (!std::filesystem::exists(library("unavailable"))) GTEST_SKIP() << "the provider libraries of tests/provider are not built";
  const std::string text = graph("(float[4] x) => (float[4] y) { y = Relu(x) }");
  SessionOptions options{.providers = {library("unavailable"), library("needs_gone"), "reference"}, .allow_missing = true};
  const Session session = session_of(text.c_str(), options);
  const std::vector<Verdict>& verdicts = node_of(session, "Relu").verdicts;
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].code, "device_missing");
  EXPECT_THAT(verdicts[0].reason, HasSubstr("found driver 11.8"));
  EXPECT_EQ(verdicts[1].code, "library_missing");
  EXPECT_TRUE(verdicts[2].accepted);
  options.allow_missing = false;
  EXPECT_EQ(error_of([&] { session_of(text.c_str(), options); }).code(), ErrorCode::kUnavailable);
}

TEST(Codes, OfAMemoryBudget) {
  std::string weights;
  for (int i = 0; i < 64 * 64; ++i) weights += (i ? "," : "") + std::to_string(i % 7);
  const std::string text = graph("(float[512, 64] x) => (float[512, 64] y) <float[64, 64] w = {" + weights + "}> { y = MatMul(x, w) }");
  SessionOptions options{.providers = {"lazy", "reference"}, .policy = Policy::kCost};
  EXPECT_EQ(node_of(session_of(text.c_str(), options), "MatMul").provider, "lazy");
  options.memory_limits = {{"lazy", 10 * 1024}};
  const Session less = session_of(text.c_str(), options);
  EXPECT_EQ(node_of(less, "MatMul").provider, "reference");
  EXPECT_EQ(verdict_of(less, "MatMul", "lazy").code, "memory_budget");
  EXPECT_THAT(verdict_of(less, "MatMul", "lazy").reason, AllOf(HasSubstr("its weights take 16.0 KiB"), HasSubstr("the limit is 10.0 KiB")));
}

TEST(Codes, OfMemoryThatIsMissingAtBindAreEvents) {
  const Session session = session_of(graph("(float[n, 8] x) => (float[n, 8] y) { a = Exp(x) y = Neg(a) }").c_str(),
                                     {.providers = {"lazy", "reference"}, .memory_limits = {{"lazy", 10'000}}});
  EXPECT_THROW(session.run({{"x", Tensor::zeros(DType::kFloat32, {5000, 8})}}), Error);
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "memory_budget");
  EXPECT_EQ(session.events()[0].provider, "lazy");
  EXPECT_FALSE(session.events()[0].node.empty());
}

TEST(Codes, OfADeviceThatDoesNotRecordAreEvents) {
  const Session session = session_of(graph("(float[8] x) => (float[8] y) { a = Exp(x) b = Neg(a) y = Abs(b) }").c_str(),
                                     {.providers = {"lazy?captures=off", "reference"}});
  ashlar::Run run = session.prepare();
  run.bind_input("x", Tensor::zeros(DType::kFloat32, {8}));
  for (int i = 0; i < 6; ++i) run();
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "capture_incompatible");
  EXPECT_THAT(session.events()[0].reason, HasSubstr("no room for recordings"));
}

TEST(Codes, OfKernelsThatCannotBeRecordedAreEvents) {
  const Session session =
      session_of(graph("(float[8] x) => (int64[1, n] y) { y = NonZero(x) }").c_str(), {.providers = {"lazy", "reference"}});
  ASSERT_EQ(session.events().size(), 1u);
  EXPECT_EQ(session.events()[0].code, "capture_incompatible");
  EXPECT_THAT(session.events()[0].reason, HasSubstr("its kernel NonZero cannot be recorded"));
}

TEST(Codes, OfEveryProviderAreSaidOfANodeThatNobodyTakes) {
  for (const Policy policy : {Policy::kPreference, Policy::kCost}) {
    const Error e = error_of(
        [&] { session_of(graph("(float[4] x) => (float[4] y) { y = Exp(x) }").c_str(), {.providers = {"narrow"}, .policy = policy}); });
    EXPECT_EQ(e.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(e.message(), HasSubstr("no provider runs Exp: narrow (no_kernel_op): "));
  }
}

// ---- Costs.

TEST(Costs, AreTheProvidersOrFollowFromShapesAndRates) {
  const Session session = session_of(graph("(float[64, 64] x) => (float[64, 64] y) { a = Relu(x) y = MatMul(a, a) }").c_str(),
                                     {.providers = {"narrow", "reference"}});
  const Cost said = verdict_of(session, "Relu", "narrow").cost.value();
  EXPECT_EQ(said.nanoseconds, 13);
  EXPECT_EQ(said.operations, 7);
  EXPECT_EQ(said.bytes, 11);
  EXPECT_EQ(said.launch_ns, 12);
  const Cost product = verdict_of(session, "MatMul", "reference").cost.value();
  EXPECT_EQ(product.operations, 2.0 * 64 * 64 * 64);
  EXPECT_EQ(product.bytes, 3.0 * 64 * 64 * 4);
  EXPECT_NEAR(product.nanoseconds, 1000 + product.operations / 0.5, 1);
  EXPECT_NEAR(session.placement().cost_ns, said.nanoseconds + product.nanoseconds, 1);
}

TEST(Costs, GoByTheShapesThatAreExpected) {
  const std::string text = graph("(float[n, 64] x, float[n, 64] z) => (float[n, 64] y) { a = Add(x, z) y = Relu(a) }");
  const auto operations = [&](std::map<std::string, Shape> shapes) {
    return verdict_of(session_of(text.c_str(), {.providers = {"reference"}, .expected_shapes = std::move(shapes)}), "Relu", "reference")
        .cost->operations;
  };
  EXPECT_EQ(operations({}), 64);
  EXPECT_EQ(operations({{"x", Shape{100, 64}}}), 6400);
  EXPECT_EQ(error_of([&] { operations({{"xx", Shape{1, 64}}}); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { operations({{"x", Shape{1, 63}}}); }).code(), ErrorCode::kInvalidArgument);
}

// ---- Pins.

TEST(Pins, ThatCannotBeKeptAreErrors) {
  add_providers();
  const auto session = [&](std::vector<std::pair<std::string, std::string>> pins) {
    return session_of(graph("(float[4] x) => (float[4] y) { a = Exp(x) b = Relu(a) y = Neg(b) }").c_str(),
                      {.providers = {"narrow", "reference"}, .pins = std::move(pins)});
  };
  const Error refused = error_of([&] { session({{"op:*", "narrow"}}); });
  EXPECT_EQ(refused.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(refused.message(), AllOf(HasSubstr("2 nodes are pinned"), HasSubstr("(Exp) to narrow (no_kernel_op)"),
                                       HasSubstr("(Neg) to narrow (no_kernel_opset)")));
  EXPECT_THAT(error_of([&] { session({{"op:Softmax", "reference"}}); }).message(), HasSubstr("no node is pinned by 'op:Softmax'"));
  EXPECT_THAT(error_of([&] { session({{"op:Exp", "narow"}}); }).message(), HasSubstr("did you mean 'narrow'"));
  // The first that matches counts.
  EXPECT_EQ(node_of(session({{"op:Relu", "narrow"}, {"op:*", "reference"}}), "Relu").provider, "narrow");
}

TEST(Pins, TakeIdsOfTheModelAndPatterns) {
  const Model model = Model::load("tests/models/digits.onnx");
  const Placement plain = Session(model, {.providers = {"reference"}}).placement();
  add_providers();
  SessionOptions options{.providers = {"lazy", "reference"}};
  options.pins = {{plain.nodes.front().node, "reference"}};
  const Placement pinned = Session(model, options).placement();
  EXPECT_EQ(pinned.nodes.front().provider, "reference");
  EXPECT_EQ(pinned.nodes.back().provider, "lazy");
}

// ---- Bodies.

constexpr const char* kLoop = R"((float[256, 256] x, int64 trips, bool go) => (float[256, 256] y) {
  y = Loop(trips, go, x) <body = step (int64 i, bool c, float[256, 256] s) => (bool d, float[256, 256] t) {
    d = Identity(c)
    p = MatMul(s, s)
    t = Tanh(p)
  }>
})";

TEST(Bodies, ArePlacedByCostToo) {
  const Session session = session_of(graph(kLoop).c_str(), {.providers = {"lazy", "reference"}, .policy = Policy::kCost});
  EXPECT_EQ(node_of(session, "Loop").provider, "core");
  EXPECT_EQ(node_of(session, "MatMul").provider, "lazy");
  EXPECT_EQ(node_of(session, "Identity").provider, "reference") << "one bool is not worth a copy";
  EXPECT_THAT(node_of(session, "MatMul").graph, HasSubstr("/body"));
  for (const BoundaryCopy& c : session.placement().copies) EXPECT_THAT(c.graph, HasSubstr("/body"));
}

// ---- Guards.

TEST(Guards, ThatDoNotHoldSendTheRunElsewhere) {
  const Session session = session_of(graph("(float[n, 4] x) => (float[n, 4] y) { a = Exp(x) y = Neg(a) }").c_str(),
                                     {.providers = {"lazy?most=8", "reference"}});
  EXPECT_THAT(verdict_of(session, "Exp", "lazy").guards, ElementsAre("input 0, dimension 0 <= 8"));
  ashlar::Run run = session.prepare();
  for (const std::int64_t n : {3, 8, 9, 20, 4, 9}) {
    Tensor x = Tensor::zeros(DType::kFloat32, {n, 4});
    for (std::int64_t i = 0; i < x.element_count(); ++i) x.mutable_data<float>()[i] = 0.01f * static_cast<float>(i);
    run.bind_input("x", x);
    Trace trace;
    run({.trace = &trace});
    const Tensor y = run.output("y").tensor();
    ASSERT_EQ(y.shape(), (Shape{n, 4}));
    for (std::int64_t i = 0; i < y.element_count(); ++i) ASSERT_EQ(y.data<float>()[i], -std::exp(x.data<float>()[i])) << n;
    bool on_device = false;
    for (const TraceEvent& e : trace.events) on_device = on_device || (e.op == "Exp" && e.provider == "lazy");
    EXPECT_EQ(on_device, n <= 8);
  }
  std::int64_t count = 0;
  for (const PlacementEvent& e : session.events()) {
    EXPECT_EQ(e.code, "dynamic_shape");
    EXPECT_THAT(e.reason, HasSubstr("the provider takes it up to 8"));
    count += e.count;
  }
  EXPECT_EQ(count, 2) << "a shape that is known not to hold is not tried again";
}

TEST(Guards, ThatAShapeBreaksForEverAreRefusals) {
  const Session session =
      session_of(graph("(float[9, 4] x) => (float[9, 4] y) { y = Exp(x) }").c_str(), {.providers = {"lazy?most=8", "reference"}});
  EXPECT_EQ(node_of(session, "Exp").provider, "reference");
  EXPECT_EQ(verdict_of(session, "Exp", "lazy").code, "dynamic_shape");
}

TEST(Guards, KeepStates) {
  const Session session =
      session_of(graph("(float[n, 4] past, float[1, 4] x) => (float[m, 4] present) { present = Concat<axis = 0>(past, x) }").c_str(),
                 {.providers = {"lazy?most=3", "reference"}});
  ashlar::Run run = session.prepare();
  run.state("past", "present");
  for (int i = 0; i < 6; ++i) {
    Tensor x = Tensor::zeros(DType::kFloat32, {1, 4});
    std::fill_n(x.mutable_data<float>(), 4, static_cast<float>(i));
    run.bind_input("x", x);
    run();
  }
  const Tensor all = run.output("present").tensor();
  ASSERT_EQ(all.shape(), (Shape{6, 4}));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(all.data<float>()[i], static_cast<float>(i / 4));
}

// ---- The ledger.

TEST(Copies, SayWhichVerdictForcedThem) {
  const Session session =
      session_of(graph(R"((float[4, 4] x) => (float[4, 4] y, float[4, 4] z) {
    a = Exp(x)
    b = Softmax(a)
    c = Neg(b)
    y = Abs(c)
    z = Exp(c)
  })")
                     .c_str(),
                 {.providers = {"lazy?claim=1", "reference"}, .pins = {{"op:Softmax", "reference"}, {"op:Abs", "reference"}}});
  std::map<std::string, const BoundaryCopy*> by_tensor;
  for (const BoundaryCopy& c : session.placement().copies) by_tensor[c.tensor + " " + c.to] = &c;
  ASSERT_EQ(by_tensor.size(), 5u);
  const auto cause = [&](const char* key) { return by_tensor.at(key)->cause; };
  EXPECT_EQ(cause("x lazy").code, "graph_input");
  EXPECT_EQ(cause("a host").code, "user_pin");
  EXPECT_EQ(cause("a host").provider, "lazy");
  EXPECT_THAT(by_tensor.at("a host")->consumers, ElementsAre(cause("a host").node));
  EXPECT_EQ(by_tensor.at("a host")->bytes, 64u);
  EXPECT_EQ(cause("b lazy").code, "user_pin");
  EXPECT_EQ(cause("b lazy").node, by_tensor.at("b lazy")->producer);
  EXPECT_EQ(cause("c host").code, "user_pin");
  EXPECT_EQ(cause("z host").code, "graph_output");
  EXPECT_THAT(by_tensor.at("z host")->consumers, ElementsAre("(output)"));
}

TEST(Copies, AreMeasuredByTraces) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .pins = {{"op:Relu", "reference"}}});
  Placement placement = session.placement();
  const NamedValues inputs = {{"x", Tensor::zeros(DType::kFloat32, {2048})},
                              {"a", Tensor::zeros(DType::kFloat32, {256, 256})},
                              {"b", Tensor::zeros(DType::kFloat32, {256, 256})}};
  const std::uint64_t before = testing::copied_bytes();
  for (int i = 0; i < 3; ++i) {
    Trace trace;
    session.run(inputs, {.trace = &trace});
    placement.add(trace);
  }
  std::uint64_t bytes = 0;
  for (const BoundaryCopy& c : placement.copies) {
    EXPECT_EQ(c.runs, 3);
    EXPECT_GT(c.measured_ns, 0);
    bytes += c.measured_bytes;
  }
  EXPECT_EQ(bytes, testing::copied_bytes() - before);
  for (const NodePlacement& n : placement.nodes) EXPECT_TRUE(n.measured_ns.has_value()) << n.node;
  EXPECT_THAT(nlohmann::json::parse(placement.to_json())["copies"][0]["measured"]["runs"], 3);
}

// ---- What-if and profiles.

TEST(WhatIfs, RankTheKernelsThatWouldTakeCopiesAway) {
  add_providers();
  // Strings apart, lazy takes all; what it does not is drawn.
  const Session session = session_of(graph(R"((float[256, 256] x) => (float[256, 256] y) {
    a = MatMul(x, x) b = Relu(a) c = MatMul(b, b) d = Exp(c) y = MatMul(d, d) })")
                                         .c_str(),
                                     {.providers = {"narrow", "async", "reference"}, .pins = {{"op:Relu", "reference"}}});
  EXPECT_TRUE(session.what_if().empty() || session.what_if().front().provider == "narrow");
}

TEST(Profiles, MoveNodesOffASlowDevice) {
  add_providers();
  const std::string text = graph(R"((float[64, 512] x) => (float[64, 512] y) { a = Exp(x) b = Sigmoid(a) c = Tanh(b) y = Neg(c) })");
  const NamedValues inputs = {{"x", Tensor::zeros(DType::kFloat32, {64, 512})}};
  const SessionOptions by_cost{.providers = {"async?slow=20000", "reference"}, .policy = Policy::kCost};
  // As the device describes itself it is worth it.
  const Session slow = session_of(text.c_str(), by_cost);
  ASSERT_EQ(node_of(slow, "Exp").provider, "async");
  Trace trace;
  slow.run(inputs, {.trace = &trace});
  const std::filesystem::path file = std::filesystem::temp_directory_path() / ("ashlar_profile_" + std::to_string(::getpid()) + ".json");
  trace.write_chrome_json(file);
  SessionOptions profiled = by_cost;
  profiled.profile = Profile::load(file);
  std::filesystem::remove(file);
  const Session session = session_of(text.c_str(), profiled);
  for (const char* op : {"Exp", "Sigmoid", "Tanh", "Neg"}) {
    EXPECT_EQ(node_of(session, op).provider, "reference");
    const Verdict& v = verdict_of(session, op, "async");
    EXPECT_EQ(v.code, "cost_model");
    EXPECT_THAT(v.reason, AllOf(HasSubstr("its island of 4 nodes takes 8"), HasSubstr("(by ashlar_profile_")));
    EXPECT_TRUE(v.cost->measured);
  }
  EXPECT_THAT(session.placement().profile, HasSubstr("ashlar_profile_"));
}

TEST(Profiles, ThatAreNoneAreErrors) {
  EXPECT_EQ(error_of([] { Profile::load("tests/models/no_such_trace.json"); }).code(), ErrorCode::kIo);
  const Error e = error_of([] { Profile::load("tests/models/digits.onnx"); });
  EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(e.message(), HasSubstr("it is no trace"));
}

// ---- Plans without a device.

TEST(PlanOnly, PlacesAsTheSessionDoes) {
  add_providers();
  SessionOptions options{.providers = {"lazy?claim=0.5&seed=2", "reference"}};
  const Session real = session_of(graph(kLoop).c_str(), options);
  options.plan_only = true;
  const Session planned = session_of(graph(kLoop).c_str(), options);
  ASSERT_EQ(planned.placement().nodes.size(), real.placement().nodes.size());
  for (std::size_t i = 0; i < real.placement().nodes.size(); ++i)
    EXPECT_EQ(planned.placement().nodes[i].provider, real.placement().nodes[i].provider);
  const Error e = error_of([&] { planned.prepare(); });
  EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(e.message(), HasSubstr("only plans"));
  EXPECT_EQ(error_of([&] { planned.stage_text("plan"); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { planned.memory(); }).code(), ErrorCode::kInvalidArgument);
}

TEST(PlanOnly, RefusesDescriptionsThatAreNone) {
  const auto with = [](const char* devices) {
    return error_of(
               [&] { session_of(graph("(float[4] x) => (float[4] y) { y = Relu(x) }").c_str(), {.plan_only = true, .devices = devices}); })
        .code();
  };
  for (const char* devices : {"{}", "[1]", "{\"providers\": []}", "{\"providers\": [{\"name\": \"lazy\", \"queues\": 1}]}"})
    EXPECT_EQ(with(devices), ErrorCode::kInvalidArgument) << devices;
}

}  // namespace
}  // namespace ashlar
