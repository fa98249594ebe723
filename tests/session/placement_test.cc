// SPDX-License-Identifier: Apache-2.0
// Costs, pins, bodies, guards, the ledger of copies, what-if, profiles, plans without a device.
#include <cmath>
#include <filesystem>
#include <map>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/session/placement_case.h"

namespace ashlar {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using namespace ashlar::testing;
using ::testing::HasSubstr;

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

TEST(Costs, OfAGatherAreWhatItPicks) {
  const Session session = session_of(graph("(float[100000, 64] table, int64[3] i) => (float[3, 64] y) { y = Gather(table, i) }").c_str(),
                                     {.providers = {"reference"}});
  EXPECT_EQ(verdict_of(session, "Gather", "reference").cost->bytes, 2 * 3 * 64 * 4 + 3 * 8);
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
  EXPECT_TRUE(by_tensor.at("z host")->also.empty());
}

TEST(Copies, SayWhyEveryReaderNeedsThem) {
  const Session session =
      session_of(graph("(float[4] x) => (float[4] a, float[4] y, float[4] z) { a = Exp(x) y = Abs(a) z = Neg(a) }").c_str(),
                 {.providers = {"lazy?lacks=Abs", "reference"}, .pins = {{"op:Neg", "reference"}}});
  for (const BoundaryCopy& c : session.placement().copies) {
    if (c.tensor != "a") continue;
    EXPECT_EQ(c.consumers.size(), 3u);
    EXPECT_EQ(c.cause.code, "graph_output");
    ASSERT_EQ(c.also.size(), 2u);
    EXPECT_EQ(c.also[0].code, "no_kernel_op");
    EXPECT_EQ(c.also[1].code, "user_pin");
    return;
  }
  FAIL() << "no copy of a";
}

TEST(Copies, AreMeasuredByTraces) {
  const Session session = session_of(graph(kTwoKernels).c_str(), {.providers = {"lazy", "reference"}, .pins = {{"op:Relu", "reference"}}});
  Placement placement = session.placement();
  const NamedValues inputs = {{"x", Tensor::zeros(DType::kFloat32, {2048})},
                              {"a", Tensor::zeros(DType::kFloat32, {256, 256})},
                              {"b", Tensor::zeros(DType::kFloat32, {256, 256})}};
  const std::uint64_t before = copied_bytes();
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
  EXPECT_EQ(bytes, copied_bytes() - before);
  for (const NodePlacement& n : placement.nodes) EXPECT_TRUE(n.measured_ns.has_value()) << n.node;
  EXPECT_THAT(nlohmann::json::parse(placement.to_json())["copies"][0]["measured"]["runs"], 3);
}

// ---- What-if and profiles.

TEST(WhatIfs, RankTheKernelsThatWouldTakeCopiesAway) {
  const Session session = session_of(graph(R"((float[256, 256] x) => (float[256, 256] y) {
    a = MatMul(x, x) b = Exp(a) c = MatMul(b, b) d = Exp(c) y = MatMul(d, d) })")
                                         .c_str(),
                                     {.providers = {"lazy?lacks=Exp", "reference"}});
  constexpr std::int64_t kBytes = 256 * 256 * 4;
  const std::vector<WhatIf> kernels = session.what_if();
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels[0].provider, "lazy");
  EXPECT_EQ(kernels[0].op, "Exp");
  EXPECT_EQ(kernels[0].code, "no_kernel_op");
  EXPECT_EQ(kernels[0].nodes.size(), 2u);
  EXPECT_EQ(kernels[0].copies, -4);
  EXPECT_EQ(kernels[0].bytes, -4 * kBytes);
  EXPECT_EQ(kernels[0].moved, 2);
  EXPECT_LT(kernels[0].nanoseconds, 0);
  const std::vector<WhatIf> single = session.what_if(true);
  ASSERT_EQ(single.size(), 2u);
  for (const WhatIf& w : single) EXPECT_EQ(w.copies, -2);
  EXPECT_NEAR(single[0].nanoseconds + single[1].nanoseconds, kernels[0].nanoseconds, 1);
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
    EXPECT_THAT(v.reason, AllOf(HasSubstr("the 4 connected nodes it belongs to would take 8"), HasSubstr("(by ashlar_profile_")));
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
