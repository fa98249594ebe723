// SPDX-License-Identifier: Apache-2.0
#include "model_text.h"

namespace ashlar::onnx {
namespace {

TEST(Import, ReadsNodesTypesAndConstants) {
  const Imported m = import(standard(R"(
    g (float[N, 4] x) => (float[N, 4] y) <float[4] w = {1, 2, 3, 4}> {
      [first] a = Add(x, w)
      y = Relu(a)
    })"));
  EXPECT_EQ(ids(m.graph), (Ids{"first", "Relu#1"}));
  EXPECT_EQ(m.graph.nodes[0].version, 14);
  EXPECT_EQ(m.graph.nodes[0].original_version, 14);
  EXPECT_EQ(m.graph.nodes[0].origins, Ids{"first"});
  EXPECT_EQ(value(m.graph, "a").type.to_string(), "float32[N,4]");
  ASSERT_TRUE(value(m.graph, "w").constant.defined());
  EXPECT_EQ(value(m.graph, "w").constant.span<float>()[2], 3.0f);
  EXPECT_EQ(m.graph.inputs.size(), 1u);
  EXPECT_EQ(m.info.node_count, 2);
  EXPECT_EQ(m.info.initializer_count, 1);
  EXPECT_EQ(m.info.opsets, (std::vector<std::pair<std::string, int>>{{"", 18}}));
}

TEST(Import, GivesRepeatedNamesTheirIndex) {
  const Imported m = import(standard("g (float[1] x) => (float[1] y) { [n] a = Relu(x)\n [n] y = Relu(a) }"));
  EXPECT_EQ(ids(m.graph), (Ids{"n", "Relu#1"}));
}

TEST(Import, FillsInTheSchemasDefaults) {
  const Imported m = import(standard("g (float[2, 3] x) => (float[2, 3] y) { y = Softmax(x) }"));
  ASSERT_NE(m.graph.nodes[0].find_as<std::int64_t>("axis"), nullptr);
  EXPECT_EQ(*m.graph.nodes[0].find_as<std::int64_t>("axis"), -1);
}

TEST(Import, TakesTheSchemaOfTheImportedOpset) {
  const std::string graph = "g (float[2, 3] x) => (float[2, 3] y) { y = Softmax(x) }";
  EXPECT_EQ(import(standard(graph, 12)).graph.nodes[0].version, 11);
  EXPECT_EQ(import(standard(graph, 13)).graph.nodes[0].version, 13);
}

TEST(Import, TurnsEveryFormOfConstantIntoAConstant) {
  const Imported m = import(standard(R"(
    g () => (float[2] a, float b, int64[3] c, int64 d, string e, string[2] f) {
      a = Constant <value = float[2] {1.5, 2.5}> ()
      b = Constant <value_float: float = 0.5> ()
      c = Constant <value_ints = [7, 8, 9]> ()
      d = Constant <value_int: int = -4> ()
      e = Constant <value_string = "s"> ()
      f = Constant <value_strings = ["t", "u"]> ()
    })"));
  EXPECT_TRUE(m.graph.nodes.empty());
  EXPECT_EQ(value(m.graph, "a").constant.span<float>()[1], 2.5f);
  EXPECT_EQ(value(m.graph, "b").constant.span<float>()[0], 0.5f);
  EXPECT_EQ(value(m.graph, "c").constant.span<std::int64_t>()[2], 9);
  EXPECT_EQ(value(m.graph, "d").constant.span<std::int64_t>()[0], -4);
  EXPECT_EQ(value(m.graph, "e").constant.span<std::string>()[0], "s");
  EXPECT_EQ(value(m.graph, "f").constant.span<std::string>()[1], "u");
  EXPECT_EQ(value(m.graph, "d").constant.shape().rank(), 0);
}

TEST(Import, SortsNodesThatTheFileHasInAnotherOrder) {
  const Imported m = import(standard("g (float[1] x) => (float[1] y) { [last] y = Relu(b)\n [middle] b = Neg(a)\n [first] a = Abs(x) }"));
  EXPECT_EQ(ids(m.graph), (Ids{"first", "middle", "last"}));
}

TEST(Import, RefusesACycleAndNamesItsNodes) {
  expect_refused(standard("g (float[1] x) => (float[1] y) { [p] a = Add(x, b)\n [q] b = Neg(a)\n [r] y = Relu(b) }"),
                 ErrorCode::kInvalidModel, "has a cycle: node 'p' -> node 'q' -> node 'p'");
}

TEST(Import, DistinguishesDefaultsFromConstantsByIrVersion) {
  const std::string graph = "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }";
  const Imported newer = import("<ir_version: 4, opset_import: [\"\" : 9]>" + graph);
  EXPECT_EQ(newer.graph.inputs.size(), 2u);
  EXPECT_TRUE(value(newer.graph, "w").constant.defined());
  const Imported older = import("<ir_version: 3, opset_import: [\"\" : 8]>" + graph);
  EXPECT_EQ(older.graph.inputs.size(), 1u);
  EXPECT_TRUE(value(older.graph, "w").constant.defined());
  expect_refused("<ir_version: 3, opset_import: [\"\" : 8]> g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }",
                 ErrorCode::kInvalidModel, "initializer 'w' is not among the inputs");
}

TEST(Import, ListsWhatItFindsButDoesNotRefuse) {
  const Imported m = import(standard("g (float[1] x) => (float[1] y) <float[1] spare = {1}> { y = Relu(x) }"));
  ASSERT_EQ(m.info.findings.size(), 1u);
  EXPECT_EQ(m.info.findings[0], "initializer 'spare' is not used");
}

TEST(Import, NormalisesTheStandardDomain) {
  const Imported m = import("<ir_version: 8, opset_import: [\"ai.onnx\" : 18]> g (float[1] x) => (float[1] y) { y = ai.onnx.Relu(x) }");
  EXPECT_EQ(m.graph.nodes[0].domain, "");
  EXPECT_EQ(m.info.opsets[0].first, "");
}

TEST(Import, RefusesWhatIsMissingOrTwice) {
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Add(x, z) }"), ErrorCode::kInvalidModel,
                 "missing initializer or value 'z' used by node 'n'");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Relu(x)\n [m] y = Abs(x) }"), ErrorCode::kInvalidModel,
                 "value 'y', an output of node 'm', is defined already");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] x = Relu(x) }"), ErrorCode::kInvalidModel, "cycle");
  expect_refused(standard("g (float[1] x, float[1] x) => (float[1] y) { y = Relu(x) }"), ErrorCode::kInvalidModel, "two inputs 'x'");
  expect_refused(standard("g (float[1] x) => (float[1] q) { y = Relu(x) }"), ErrorCode::kInvalidModel,
                 "output 'q' of graph 'g' is computed by no node");
}

TEST(Import, RefusesOperatorsItsOpsetsDoNotHave) {
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Relus(x) }"), ErrorCode::kInvalidModel, "did you mean 'Relu'?");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Gelu(x) }"), ErrorCode::kInvalidModel, "it has one since opset 20");
  expect_refused(standard("g (float[1,1,1,1] x, float[4] s) => (float[1,1,1,1] y) { [n] y = Upsample(x, s) }"), ErrorCode::kInvalidModel,
                 "deprecated since opset 10");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = com.example.Thing(x) }"), ErrorCode::kUnsupported,
                 "domain 'com.example'");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = ai.onnx.ml.Scaler(x) }"), ErrorCode::kInvalidModel,
                 "no opset is imported");
  expect_refused(standard("g (float[1] x) => (float[1] y) { y = Relu(x) }", 9999), ErrorCode::kUnsupported, "newer than the newest");
  expect_refused("<ir_version: 99, opset_import: [\"\" : 18]> g (float[1] x) => (float[1] y) { y = Relu(x) }", ErrorCode::kUnsupported,
                 "IR version 99");
  proto::ModelProto none = model_of(standard("g (float[1] x) => (float[1] y) { y = Relu(x) }"));
  none.clear_opset_import();
  expect_refused(none, ErrorCode::kInvalidModel, "imports no opset");
}

TEST(Import, RefusesNodesThatDoNotFitTheirSchema) {
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Add(x) }"), ErrorCode::kInvalidModel, "node n");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Cast(x) }"), ErrorCode::kInvalidModel,
                 "Required attribute 'to' is missing");
  expect_refused(standard("g (float[1] x) => (float[1] y) { [n] y = Relu <alpha: float = 1.0> (x) }"), ErrorCode::kInvalidModel,
                 "Unrecognized attribute: alpha");
  expect_refused(standard("g (float[2, 2] x) => (float[2, 2] y) { [n] y = Softmax <axis: float = 1.0> (x) }"), ErrorCode::kInvalidModel,
                 "attribute type");
}

TEST(Import, RefusesTypesThatContradictOperators) {
  expect_refused(standard("g (float[2, 3] x, float[4, 5] z) => (float[2, 5] y) { [n] y = MatMul(x, z) }"), ErrorCode::kInvalidModel,
                 "node n");
  expect_refused(standard("g (float[2] x, int64[2] z) => (float[2] y) { [n] y = Add(x, z) }"), ErrorCode::kInvalidModel,
                 "inconsistent type");
  expect_refused(standard("g (float[2] x) => (float[3] y) { [n] y = Relu(x) }"), ErrorCode::kInvalidModel,
                 "value 'y' is said to be float32[3], but it is float32[2]");
}

TEST(Import, RefusesAnEquationThatTheLibraryWouldNotEndOn) {
  for (const char* equation : {"ij,$jk->ik", "i.j,jk->ik", "ij,j\tk->ik", "i......,jk->ik"})
    expect_refused(standard(std::string("g (float[2, 3] x, float[3, 4] z) => (float[2, 4] y) { [n] y = Einsum <equation = \"") + equation +
                            "\"> (x, z) }"),
                   ErrorCode::kInvalidModel, "is malformed");
  const Imported m =
      import(standard("g (float[2, 3] x, float[3, 4] z) => (float[p, q] y) { y = Einsum <equation = \"ij, jk -> ik\"> (x, z) }"));
  EXPECT_EQ(value(m.graph, "y").type.to_string(), "float32[2,4]");
}

TEST(Import, CarriesMetadata) {
  proto::ModelProto model = model_of(standard("g (float[1] x) => (float[1] y) { y = Relu(x) }"));
  auto* entry = model.add_metadata_props();
  entry->set_key("author");
  entry->set_value("somebody");
  model.set_producer_name("maker");
  const Imported m = import(model);
  EXPECT_EQ(m.info.metadata, (std::vector<std::pair<std::string, std::string>>{{"author", "somebody"}}));
  EXPECT_EQ(m.info.producer_name, "maker");
  EXPECT_EQ(m.info.file, "test.onnx");
}

TEST(Import, InfersWithSmallConstants) {
  const Imported m = import(standard("g (float[6] x) => (float[p, q] y) <int64[2] s = {2, 3}> { y = Reshape(x, s) }"));
  EXPECT_EQ(value(m.graph, "y").type.to_string(), "float32[2,3]");
}

TEST(Import, KnowsOpsetsAndVersions) {
  EXPECT_EQ(since_version("Softmax", "", 12), 11);
  EXPECT_EQ(since_version("Softmax", "ai.onnx", 20), 13);
  EXPECT_EQ(since_version("Upsample", "", 20), std::nullopt);
  EXPECT_EQ(since_version("NoSuch", "", 20), std::nullopt);
  EXPECT_EQ(known_opsets()[0].first, "");
  EXPECT_GE(known_opsets()[0].second, 28);
  EXPECT_GE(known_ir_version(), 14);
}

}  // namespace
}  // namespace ashlar::onnx
