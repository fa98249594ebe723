// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <ashlar/error.h>
#include <gtest/gtest.h>

#include "ops/host_evaluate.h"

namespace ashlar::ops {
namespace {

using Attributes = std::map<std::string, graph::Attribute>;
using L = std::int64_t;
constexpr L kLowest = std::numeric_limits<L>::min();
constexpr L kHighest = std::numeric_limits<L>::max();

struct Case {
  std::string op;
  std::vector<Tensor> inputs;  ///< an undefined one is left out
  std::string expected;        ///< the outputs, or a part of the error's message
  Attributes attributes = {};
  std::size_t outputs = 1;
};

Tensor list(std::initializer_list<L> elements) { return Tensor::of<L>({static_cast<L>(elements.size())}, elements); }
Tensor one(L element) { return Tensor::scalar<L>(element); }
Tensor ints(std::initializer_list<std::int32_t> elements) { return Tensor::of<std::int32_t>({static_cast<L>(elements.size())}, elements); }
Tensor bools(std::initializer_list<bool> elements) { return Tensor::of<bool>({static_cast<L>(elements.size())}, elements); }
Tensor floats(std::initializer_list<float> elements) { return Tensor::of<float>({static_cast<L>(elements.size())}, elements); }
Tensor doubles(std::initializer_list<double> elements) { return Tensor::of<double>({static_cast<L>(elements.size())}, elements); }
Tensor bytes(std::initializer_list<std::uint8_t> elements) { return Tensor::of<std::uint8_t>({static_cast<L>(elements.size())}, elements); }
Attributes attribute(const char* name, L value) { return {{name, value}}; }
Attributes to(DType dtype) { return attribute("to", static_cast<L>(dtype)); }

template <class T> void print(std::ostream& out, const Tensor& t) {
  for (const T element : t.span<T>()) out << ' ' << +element;
}

/// "int64[2]: 1 2", outputs separated by "; ".
std::string text(const std::vector<Tensor>& tensors) {
  std::ostringstream out;
  for (const Tensor& t : tensors) {
    out << (&t == tensors.data() ? "" : "; ") << t.type_string() << ':';
    if (t.dtype() == DType::kInt64) print<L>(out, t);
    else if (t.dtype() == DType::kInt32) print<std::int32_t>(out, t);
    else if (t.dtype() == DType::kFloat32) print<float>(out, t);
    else if (t.dtype() == DType::kFloat64) print<double>(out, t);
    else if (t.dtype() == DType::kUint8) print<std::uint8_t>(out, t);
    else print<bool>(out, t);
  }
  return out.str();
}

std::vector<Tensor> evaluate(const Case& c) {
  graph::Node node;
  node.op_type = c.op;
  node.version = 24;
  node.attributes = c.attributes;
  node.outputs.resize(c.outputs);
  std::vector<const Tensor*> inputs;
  std::vector<Shape> shapes;
  for (const Tensor& t : c.inputs) {
    node.inputs.push_back(t.defined() ? 0 : graph::kNone);
    inputs.push_back(t.defined() ? &t : nullptr);
    shapes.push_back(t.shape());
  }
  EXPECT_TRUE(host_evaluable(node)) << c.op;
  return host_evaluate(node, inputs, shapes);
}

void expect_results(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op + " = " + c.expected);
    try {
      EXPECT_EQ(text(evaluate(c)), c.expected);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

void expect_errors(ErrorCode code, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op + ": " + c.expected);
    try {
      ADD_FAILURE() << text(evaluate(c));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      EXPECT_NE(e.message().find(c.expected), std::string::npos) << e.what();
    }
  }
}

TEST(HostEvaluate, ReadsShapesWithoutElements) {
  graph::Node node;
  node.op_type = "Shape";
  node.version = 21;
  const std::vector<const Tensor*> none = {nullptr};
  const std::vector<Shape> shapes = {{2, 3, 0, 7}};
  const auto run = [&] { return text(host_evaluate(node, none, shapes)); };
  EXPECT_EQ(run(), "int64[4]: 2 3 0 7");
  node.attributes = {{"start", L{1}}};
  EXPECT_EQ(run(), "int64[3]: 3 0 7");
  node.attributes = {{"start", L{-3}}, {"end", L{-1}}};
  EXPECT_EQ(run(), "int64[2]: 3 0");
  node.attributes = {{"start", kLowest}, {"end", kHighest}};
  EXPECT_EQ(run(), "int64[4]: 2 3 0 7");
  node.attributes = {{"start", L{3}}, {"end", L{1}}};
  EXPECT_EQ(run(), "int64[0]:");
  node.op_type = "Size";
  EXPECT_EQ(run(), "int64[]: 0");
  EXPECT_EQ(text(host_evaluate(node, none, std::vector<Shape>{{2, 3, 7}})), "int64[]: 42");
  EXPECT_EQ(text(host_evaluate(node, none, std::vector<Shape>{{}})), "int64[]: 1");
  EXPECT_THROW(host_evaluate(node, {}, {}), Error);
}

TEST(HostEvaluate, TakesPartsOfLists) {
  const Tensor data = list({10, 20, 30, 40, 50});
  const Tensor rows = Tensor::of<L>({3, 2}, {1, 2, 3, 4, 5, 6});
  expect_results({
      {"Gather", {data, one(1)}, "int64[]: 20"},
      {"Gather", {data, list({-1, 0, 4, -5})}, "int64[4]: 50 10 50 10"},
      {"Gather", {data, ints({2})}, "int64[1]: 30"},
      {"Gather", {rows, one(-1)}, "int64[2]: 5 6"},
      {"Gather", {rows, one(1)}, "int64[3]: 2 4 6", attribute("axis", 1)},
      {"Gather", {rows, list({})}, "int64[0,2]:"},
      {"Gather", {bools({true, false}), list({1, 0})}, "bool[2]: 0 1"},
      {"Slice", {data, list({1}), list({3})}, "int64[2]: 20 30"},
      {"Slice", {data, list({-2}), list({kHighest}), list({0})}, "int64[2]: 40 50"},
      {"Slice", {data, list({-1}), list({kLowest}), list({-1}), list({-2})}, "int64[3]: 50 30 10"},
      {"Slice", {data, list({0}), list({9}), list({0}), list({kHighest})}, "int64[1]: 10"},
      {"Slice", {data, list({9}), list({kLowest}), Tensor(), list({kLowest})}, "int64[1]: 50"},
      {"Slice", {data, list({3}), list({1})}, "int64[0]:"},
      {"Slice", {list({}), list({-1}), list({kLowest}), list({0}), list({-1})}, "int64[0]:"},
      {"Slice", {rows, list({1, 0}), list({3, 1})}, "int64[2,1]: 3 5"},
      {"Slice", {data, list({}), list({})}, "int64[5]: 10 20 30 40 50"},
      {"Split", {data, list({2, 0, 3})}, "int64[2]: 10 20; int64[0]:; int64[3]: 30 40 50", {}, 3},
      {"Split", {data}, "int64[3]: 10 20 30; int64[2]: 40 50", attribute("num_outputs", 2), 2},
      {"Split", {list({1, 2})}, "int64[1]: 1; int64[1]: 2; int64[0]:", attribute("num_outputs", 3), 3},
      {"Split", {rows}, "int64[3,1]: 1 3 5; int64[3,1]: 2 4 6", {{"axis", L{-1}}, {"num_outputs", L{2}}}, 2},
  });
  expect_errors(ErrorCode::kRuntime, {
                                         {"Gather", {data, one(5)}, "index 5"},
                                         {"Gather", {data, one(-6)}, "index -6"},
                                         {"Gather", {list({}), one(0)}, "index 0"},
                                         {"Gather", {one(3), one(0)}, "axis 0"},
                                         {"Slice", {data, list({0}), list({1}), list({1})}, "axis 1"},
                                         {"Slice", {data, list({0}), list({1}), list({0}), list({0})}, "step"},
                                         {"Slice", {data, list({0, 0}), list({1, 1}), list({0, -1})}, "twice"},
                                         {"Slice", {data, list({0, 0}), list({1})}, "one length"},
                                         {"Split", {data, list({2, 2})}, "split", {}, 2},
                                         {"Split", {data, list({kHighest, 2})}, "where 5 are left", {}, 2},
                                         {"Split", {data, list({-1, 6})}, "part of -1", {}, 2},
                                         {"Split", {data}, "equal parts", {}, 2},
                                     });
}

TEST(HostEvaluate, JoinsAndRepeats) {
  const Tensor rows = Tensor::of<L>({2, 2}, {1, 2, 3, 4});
  expect_results({
      {"Concat", {list({1}), list({}), list({2, 3})}, "int64[3]: 1 2 3", attribute("axis", 0)},
      {"Concat", {rows, Tensor::of<L>({2, 1}, {8, 9})}, "int64[2,3]: 1 2 8 3 4 9", attribute("axis", -1)},
      {"Concat", {floats({1.5f})}, "float32[1]: 1.5", attribute("axis", -1)},
      {"Tile", {list({1, 2}), list({3})}, "int64[6]: 1 2 1 2 1 2"},
      {"Tile", {rows, list({1, 2})}, "int64[2,4]: 1 2 1 2 3 4 3 4"},
      {"Tile", {list({1, 2}), list({0})}, "int64[0]:"},
      {"Tile", {list({}), list({kHighest})}, "int64[0]:"},
      {"Tile", {one(4), list({})}, "int64[]: 4"},
      {"Expand", {one(7), list({3})}, "int64[3]: 7 7 7"},
      {"Expand", {list({1, 2}), list({1})}, "int64[2]: 1 2"},
      {"Expand", {list({1, 2}), list({2, 1})}, "int64[2,2]: 1 2 1 2"},
      {"Expand", {list({1}), list({0})}, "int64[0]:"},
      {"ConstantOfShape", {list({2})}, "float32[2]: 0 0"},
      {"ConstantOfShape", {list({3})}, "int64[3]: -1 -1 -1", {{"value", list({-1})}}},
      {"ConstantOfShape", {list({})}, "int32[]: 5", {{"value", ints({5})}}},
      {"Where", {bools({true, false, true}), list({1, 2, 3}), one(-1)}, "int64[3]: 1 -1 3"},
      {"Where", {Tensor::scalar(false), one(1), list({8, 9})}, "int64[2]: 8 9"},
  });
  expect_errors(ErrorCode::kRuntime, {
                                         {"Concat", {list({1}), one(2)}, "joined", attribute("axis", 0)},
                                         {"Concat", {list({1}), ints({2})}, "joined", attribute("axis", 0)},
                                         {"Concat", {rows, list({1})}, "joined", attribute("axis", 0)},
                                         {"Concat", {one(1)}, "axis 0", attribute("axis", 0)},
                                         {"Tile", {list({1}), list({-1})}, "repeat"},
                                         {"Tile", {list({1}), list({1, 1})}, "repeat"},
                                         {"Tile", {list({1, 2}), list({kHighest})}, "repeat"},
                                         {"Tile", {list({1, 2}), list({kHostEvaluateLimit})}, "more than"},
                                         {"Expand", {list({1, 2}), list({3})}, "do not broadcast"},
                                         {"Expand", {list({1}), list({-1})}, "[-1]"},
                                         {"Expand", {list({1}), list({kHostEvaluateLimit + 1})}, "more than"},
                                         {"ConstantOfShape", {list({kHighest, kHighest})}, "not possible"},
                                         {"ConstantOfShape", {list({256, 257})}, "more than"},
                                         {"ConstantOfShape", {list({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})}, "17 dimensions"},
                                     });
  expect_errors(ErrorCode::kInvalidModel, {
                                              {"ConstantOfShape", {list({2})}, "one element", {{"value", list({1, 2})}}},
                                              {"Where", {list({1}), list({1}), list({1})}, "Where"},
                                              {"Where", {bools({true}), list({1}), ints({1})}, "Where"},
                                          });
}

TEST(HostEvaluate, ChangesShapes) {
  expect_results({
      {"Identity", {list({1, 2})}, "int64[2]: 1 2"},
      {"Reshape", {list({1, 2, 3, 4}), list({2, -1})}, "int64[2,2]: 1 2 3 4"},
      {"Reshape", {list({5}), list({})}, "int64[]: 5"},
      {"Reshape", {one(5), list({-1})}, "int64[1]: 5"},
      {"Reshape", {list({1, 2}), list({0, 1})}, "int64[2,1]: 1 2"},
      {"Reshape", {list({}), list({0})}, "int64[0]:", attribute("allowzero", 1)},
      {"Squeeze", {list({4})}, "int64[]: 4"},
      {"Squeeze", {list({4, 5})}, "int64[2]: 4 5"},
      {"Squeeze", {Tensor::of<L>({1, 2, 1}, {4, 5}), list({-1})}, "int64[1,2]: 4 5"},
      {"Unsqueeze", {one(4), list({0})}, "int64[1]: 4"},
      {"Unsqueeze", {list({4, 5}), list({-1, 0})}, "int64[1,2,1]: 4 5"},
      {"Transpose", {list({4, 5})}, "int64[2]: 4 5", {{"perm", std::vector<L>{0}}}},
  });
  expect_errors(ErrorCode::kRuntime, {
                                         {"Reshape", {list({1, 2, 3}), list({2, -1})}, "cannot take"},
                                         {"Reshape", {list({1, 2}), list({-1, -1})}, "twice"},
                                         {"Reshape", {list({}), list({-1, 0})}, "copied"},
                                         {"Reshape", {list({}), list({0, -1})}, "not determined"},
                                         {"Reshape", {list({1}), list({-2})}, "[-2]"},
                                         {"Reshape", {list({1}), list({kHighest, kHighest, -1})}, "not possible"},
                                         {"Squeeze", {list({4, 5}), list({0})}, "not 1"},
                                         {"Squeeze", {list({4}), list({0, -1})}, "twice"},
                                         {"Unsqueeze", {one(4), list({1})}, "axis 1"},
                                         {"Unsqueeze", {one(4), list({0, 0})}, "twice"},
                                     });
}

TEST(HostEvaluate, CalculatesWithIntegers) {
  constexpr std::int32_t kLowest32 = std::numeric_limits<std::int32_t>::min();
  expect_results({
      {"Add", {list({1, 2}), one(10)}, "int64[2]: 11 12"},
      {"Add", {one(kHighest), one(1)}, "int64[]: -9223372036854775808"},
      {"Add", {ints({2147483647}), ints({1})}, "int32[1]: -2147483648"},
      {"Sub", {bytes({1}), bytes({2})}, "uint8[1]: 255"},
      {"Mul", {one(kHighest), one(2)}, "int64[]: -2"},
      {"Div", {list({7, -7, 7, -7}), list({2, 2, -2, -2})}, "int64[4]: 3 -3 -3 3"},
      {"Div", {list({kLowest}), list({-1})}, "int64[1]: -9223372036854775808"},
      {"Div", {ints({kLowest32}), ints({-1})}, "int32[1]: -2147483648"},
      {"Mod", {list({7, -7, 7, -7, kLowest}), list({3, 3, -3, -3, -1})}, "int64[5]: 1 2 -2 -1 0"},
      {"Mod", {list({7, -7, 7, -7}), list({3, 3, -3, -3})}, "int64[4]: 1 -1 1 -1", attribute("fmod", 1)},
      {"Pow", {list({2, -3, 2, -1, 1}), list({10, 3, -1, -3, kLowest})}, "int64[5]: 1024 -27 0 -1 1"},
      {"Pow", {one(3), ints({0})}, "int64[1]: 1"},
      {"Pow", {list({9}), floats({0.5f})}, "int64[1]: 3"},
      {"Min", {list({1, 5}), list({3, 2}), one(4)}, "int64[2]: 1 2"},
      {"Max", {list({1, 5}), list({3, 2}), one(4)}, "int64[2]: 4 5"},
      {"Max", {list({3})}, "int64[1]: 3"},
      {"Neg", {list({5, kLowest})}, "int64[2]: -5 -9223372036854775808"},
      {"Abs", {ints({-5, 5, kLowest32})}, "int32[3]: 5 5 -2147483648"},
      {"Sign", {list({-9, 0, 9})}, "int64[3]: -1 0 1"},
      {"Add", {list({}), one(1)}, "int64[0]:"},
      {"Add", {Tensor::of<L>({2, 1}, {10, 20}), list({1, 2})}, "int64[2,2]: 11 12 21 22"},
  });
  expect_errors(ErrorCode::kRuntime,
                {
                    {"Div", {one(1), one(0)}, "by zero"},
                    {"Mod", {one(1), one(0)}, "by zero"},
                    {"Pow", {one(0), one(-1)}, "no power"},
                    {"Add", {list({1, 2}), list({1, 2, 3})}, "do not broadcast"},
                    {"Mul", {Tensor::zeros(DType::kInt64, {300, 1}), Tensor::zeros(DType::kInt64, {300})}, "more than"},
                });
}

TEST(HostEvaluate, CalculatesWithReals) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_results({
      {"Div", {floats({1, -1}), floats({4, 0})}, "float32[2]: 0.25 -inf"},
      {"Mod", {floats({-7.5f, 7.5f}), floats({2, -2})}, "float32[2]: 0.5 -0.5"},
      {"Mod", {doubles({-7.5}), doubles({2})}, "float64[1]: -1.5", attribute("fmod", 1)},
      {"Pow", {floats({2}), list({-2})}, "float32[1]: 0.25"},
      {"Max", {floats({nan, 1, 2}), floats({1, nan, 3})}, "float32[3]: nan nan 3"},
      {"Min", {floats({nan, 1, 2}), floats({1, nan, 3})}, "float32[3]: nan nan 2"},
      {"Neg", {floats({1.5f, 0})}, "float32[2]: -1.5 -0"},
      {"Sign", {floats({-0.5f, 3})}, "float32[2]: -1 1"},
      {"Floor", {floats({1.7f, -1.2f})}, "float32[2]: 1 -2"},
      {"Ceil", {doubles({1.2, -1.7})}, "float64[2]: 2 -1"},
      {"Sqrt", {floats({6.25f})}, "float32[1]: 2.5"},
  });
  EXPECT_EQ(evaluate({"Div", {floats({1}), floats({3})}, ""})[0].data<float>()[0], 1.0f / 3.0f);
}

TEST(HostEvaluate, ComparesAndDecides) {
  expect_results({
      {"Equal", {list({1, -1, 3}), one(-1)}, "bool[3]: 0 1 0"},
      {"Equal", {bools({true, false}), bools({true, true})}, "bool[2]: 1 0"},
      {"Less", {list({1, 2, 3}), one(2)}, "bool[3]: 1 0 0"},
      {"LessOrEqual", {list({1, 2, 3}), one(2)}, "bool[3]: 1 1 0"},
      {"Greater", {floats({1, 2, 3}), floats({2})}, "bool[3]: 0 0 1"},
      {"GreaterOrEqual", {list({1, 2, 3}), one(2)}, "bool[3]: 0 1 1"},
      {"And", {bools({true, true, false}), bools({true, false, false})}, "bool[3]: 1 0 0"},
      {"Or", {bools({true, true, false}), bools({true, false, false})}, "bool[3]: 1 1 0"},
      {"Xor", {bools({true, true, false}), bools({true, false, false})}, "bool[3]: 0 1 0"},
      {"Not", {bools({true, false})}, "bool[2]: 0 1"},
  });
  std::uint8_t odd_truth[] = {2, 0};
  const Tensor odd = Tensor::view_bytes(DType::kBool, {2}, std::as_bytes(std::span(odd_truth)));
  expect_results({{"Not", {odd}, "bool[2]: 0 1"}, {"Cast", {odd}, "int64[2]: 1 0", to(DType::kInt64)}});
  expect_errors(ErrorCode::kInvalidModel, {{"Equal", {list({1}), ints({1})}, "operands"}});
}

TEST(HostEvaluate, Casts) {
  expect_results({
      {"Cast", {floats({1.9f, -1.9f})}, "int64[2]: 1 -1", to(DType::kInt64)},
      {"Cast", {list({4294967297, -1})}, "int32[2]: 1 -1", to(DType::kInt32)},
      {"Cast", {list({0, 7})}, "bool[2]: 0 1", to(DType::kBool)},
      {"Cast", {floats({0.5f, 0})}, "bool[2]: 1 0", to(DType::kBool)},
      {"Cast", {bools({true})}, "uint8[1]: 1", to(DType::kUint8)},
      {"Cast", {list({300})}, "uint8[1]: 44", to(DType::kUint8)},
      {"Cast", {list({3})}, "float32[1]: 3", to(DType::kFloat32)},
      {"Cast",
       {doubles({std::numeric_limits<double>::quiet_NaN(), 1e300})},
       "int64[2]: -9223372036854775808 -9223372036854775808",
       to(DType::kInt64)},
  });
  // Just above the middle of two floats; a double on the way would be the middle, which rounds down.
  const L above = (L{1} << 60) + (L{1} << 36) + 1;
  EXPECT_EQ(evaluate({"Cast", {one(above)}, "", to(DType::kFloat32)})[0].data<float>()[0], 0x1p60f + 0x1p37f);
  expect_errors(ErrorCode::kUnsupported,
                {{"Cast", {list({1})}, "float16", to(DType::kFloat16)}, {"Cast", {list({1})}, "undefined", attribute("to", 999)}});
}

TEST(HostEvaluate, Counts) {
  expect_results({
      {"Range", {one(0), one(5), one(2)}, "int64[3]: 0 2 4"},
      {"Range", {one(5), one(0), one(-2)}, "int64[3]: 5 3 1"},
      {"Range", {one(5), one(5), one(1)}, "int64[0]:"},
      {"Range", {one(0), one(5), one(-1)}, "int64[0]:"},
      {"Range", {list({1}), list({3}), list({1})}, "int64[2]: 1 2"},
      {"Range", {one(kLowest), one(kHighest), one(kHighest)}, "int64[3]: -9223372036854775808 -1 9223372036854775806"},
      {"Range", {floats({0}), floats({1}), floats({0.25f})}, "float32[4]: 0 0.25 0.5 0.75"},
      {"Range", {floats({0}), floats({std::numeric_limits<float>::quiet_NaN()}), floats({1})}, "float32[0]:"},
  });
  expect_errors(ErrorCode::kRuntime,
                {
                    {"Range", {one(0), one(5), one(0)}, "delta"},
                    {"Range", {one(kLowest), one(kHighest), one(1)}, "more than"},
                    {"Range", {one(0), one(kHostEvaluateLimit + 1), one(1)}, "more than"},
                    {"Range", {floats({0}), floats({std::numeric_limits<float>::infinity()}), floats({1})}, "more than"},
                });
  expect_errors(ErrorCode::kInvalidModel, {
                                              {"Range", {list({1, 2}), one(5), one(1)}, "input 0"},
                                              {"Range", {one(1), ints({5}), one(1)}, "input 1"},
                                          });
  EXPECT_EQ(evaluate({"Range", {one(0), one(kHostEvaluateLimit), one(1)}, ""})[0].element_count(), kHostEvaluateLimit);
}

TEST(HostEvaluate, Reduces) {
  const Tensor rows = Tensor::of<L>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Attributes drop = attribute("keepdims", 0);
  expect_results({
      {"ReduceProd", {list({2, 3, 4})}, "int64[1]: 24"},
      {"ReduceProd", {list({2, 3, 4})}, "int64[]: 24", drop},
      {"ReduceProd", {list({kHighest, 2}), list({-1})}, "int64[]: -2", drop},
      {"ReduceSum", {rows, list({0})}, "int64[1,3]: 5 7 9"},
      {"ReduceSum", {rows, list({-1})}, "int64[2]: 6 15", drop},
      {"ReduceSum", {list({1, 2}), list({})}, "int64[2]: 1 2", attribute("noop_with_empty_axes", 1)},
      {"ReduceSum", {list({1, 2}), list({})}, "int64[1]: 3"},
      {"ReduceMin", {ints({3, -1, 2})}, "int32[1]: -1"},
      {"ReduceMax", {floats({3, -1, 2})}, "float32[1]: 3"},
      {"ReduceMax", {bools({false, true})}, "bool[1]: 1"},
      {"ReduceSum", {list({})}, "int64[]: 0", drop},
      {"ReduceProd", {list({})}, "int64[]: 1", drop},
      {"ReduceMax", {ints({})}, "int32[]: -2147483648", drop},
      {"ReduceMin", {ints({})}, "int32[]: 2147483647", drop},
      {"ReduceMin", {floats({})}, "float32[]: inf", drop},
      {"ReduceMax", {one(4)}, "int64[]: 4"},
  });
  expect_errors(ErrorCode::kRuntime, {{"ReduceSum", {rows, list({2})}, "axis 2"}});
}

TEST(HostEvaluate, RefusesWhatItDoesNotKnow) {
  expect_errors(ErrorCode::kUnsupported, {
                                             {"Add", {Tensor::zeros(DType::kUint64, {1}), Tensor::zeros(DType::kUint64, {1})}, "uint64"},
                                             {"Identity", {Tensor::zeros(DType::kString, {1})}, "string"},
                                             {"Transpose", {Tensor::zeros(DType::kInt64, {2, 3})}, "Transpose"},
                                             {"ConstantOfShape", {list({2})}, "float16", {{"value", Tensor::zeros(DType::kFloat16, {1})}}},
                                         });
  expect_errors(ErrorCode::kInvalidModel, {
                                              {"Add", {list({1})}, "input 1"},
                                              {"Slice", {list({1}), Tensor(), list({1})}, "input 1"},
                                              {"Concat", {list({1}), Tensor()}, "input 1"},
                                              {"Concat", {}, "input 0"},
                                              {"Gather", {list({1}), floats({0})}, "not int32 or int64"},
                                              {"Reshape", {list({1}), bools({true})}, "not int32 or int64"},
                                          });
  graph::Node node;
  node.op_type = "Add";
  node.version = 6;
  EXPECT_FALSE(host_evaluable(node)) << "the old broadcast is another operator";
  node.version = 7;
  EXPECT_TRUE(host_evaluable(node));
  node.domain = "com.acme";
  EXPECT_FALSE(host_evaluable(node));
  node = {};
  node.op_type = "Conv";
  node.version = 22;
  EXPECT_FALSE(host_evaluable(node));
  EXPECT_THROW(host_evaluate(node, {}, {}), Error);
  EXPECT_FALSE(host_evaluable(DType::kFloat16));
}

TEST(HostEvaluate, OwnsResultsOfUnalignedElements) {
  std::byte memory[3 * sizeof(L) + 1];
  const L values[] = {4, 5, 6};
  std::memcpy(memory + 1, values, sizeof(values));
  const Tensor odd = Tensor::view_bytes(DType::kInt64, {3}, std::span<const std::byte>(memory).subspan(1));
  const std::string expected = "int64[3]: 4 5 6";
  for (const Case& c : std::vector<Case>{{"Identity", {odd}, expected},
                                         {"Expand", {odd, list({1})}, expected},
                                         {"Slice", {odd, list({}), list({})}, expected},
                                         {"Tile", {odd, list({1})}, expected},
                                         {"Abs", {odd}, expected},
                                         {"Max", {odd}, expected}}) {
    const std::vector<Tensor> out = evaluate(c);
    EXPECT_EQ(text(out), c.expected) << c.op;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(out[0].raw()) % alignof(L), 0u) << c.op;
    EXPECT_FALSE(out[0].read_only()) << c.op;
  }
}

}  // namespace
}  // namespace ashlar::ops
