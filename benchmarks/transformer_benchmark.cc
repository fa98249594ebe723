// SPDX-License-Identifier: Apache-2.0
// The operators that transformers come down to, on the CPU provider: one node, and the nodes it stands for. Arguments: threads.
#include <cmath>

#include "benchmarks/bench.h"

namespace {

using ashlar::DType;
using ashlar::Tensor;
using ashlar::benchmarks::Bench;
using ashlar::benchmarks::Dims;

Tensor shape_of(const Dims& dims) {
  Tensor t = Tensor::zeros(DType::kInt64, {static_cast<std::int64_t>(dims.size())});
  std::copy(dims.begin(), dims.end(), t.mutable_data<std::int64_t>());
  return t;
}

struct Sizes {
  std::int64_t heads, groups, queries, past, size;
  bool causal = false;
  std::int64_t keys() const { return past + queries; }
};
constexpr Sizes kMiniLm{12, 12, 128, 0, 32}, kBertBase{12, 12, 128, 0, 64}, kVit{12, 12, 197, 0, 64}, kWhisper{6, 6, 1500, 0, 64},
    kLlamaPrefill{8, 2, 128, 0, 64, true}, kLlamaDecode{8, 2, 1, 128, 64}, kGpt2Decode{12, 12, 1, 128, 64};

void inputs_of(Bench& b, const Sizes& s) {
  b.add_input("q", {1, s.queries, s.heads * s.size});
  b.add_input("k", {1, s.queries, s.groups * s.size});
  b.add_input("v", {1, s.queries, s.groups * s.size});
  if (s.past == 0) return;
  b.add_input("past_k", {1, s.groups, s.past, s.size});
  b.add_input("past_v", {1, s.groups, s.past, s.size});
}

void BM_Attention(benchmark::State& state, const Sizes& s) {
  Bench b;
  inputs_of(b, s);
  for (const char* name : {"all_k", "all_v"}) b.set_type(name, {1, s.groups, s.keys(), s.size});
  b.set_type("y", {1, s.queries, s.heads * s.size});
  const bool past = s.past > 0;
  b.node("Attention", 24, {"q", "k", "v", "", past ? "past_k" : "", past ? "past_v" : ""}, {"y", past ? "all_k" : "", past ? "all_v" : ""},
         {{"q_num_heads", s.heads}, {"kv_num_heads", s.groups}, {"is_causal", std::int64_t{s.causal}}});
  for (const char* name : {"all_k", "all_v"})
    if (past) b.graph.outputs.push_back(b.value(name));
  b.finish(state, "y");
}

/// Queries, keys and values as columns of one product.
void BM_AttentionOfColumns(benchmark::State& state, const Sizes& s) {
  Bench b;
  const std::int64_t q = s.heads * s.size, k = s.groups * s.size;
  b.add_input("x", {1, s.queries, q + 2 * k});
  b.add_constant("sizes", shape_of({q, k, k}));
  b.node("Split", 18, {"x", "sizes"}, {"q", "k", "v"}, {{"axis", std::int64_t{2}}});
  b.set_type("q", {1, s.queries, q});
  for (const char* name : {"k", "v"}) b.set_type(name, {1, s.queries, k});
  b.then("Attention", 24, {"q", "k", "v"}, "y", {1, s.queries, q}, {{"q_num_heads", s.heads}, {"kv_num_heads", s.groups}});
  b.finish(state, "y");
}
BENCHMARK_CAPTURE(BM_AttentionOfColumns, bert_base, kBertBase)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_AttentionOfColumns, vit, kVit)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();

void BM_AttentionDecomposed(benchmark::State& state, const Sizes& s) {
  Bench b;
  inputs_of(b, s);
  for (const char* x : {"q", "k", "v"}) {
    const std::string name = x;
    const std::int64_t heads = name == "q" ? s.heads : s.groups;
    const std::vector<std::int64_t> order = {0, 2, 1, 3};
    b.add_constant(name + "_shape", shape_of({1, s.queries, heads, s.size}));
    b.then("Reshape", 21, {x, (name + "_shape").c_str()}, (name + "1").c_str(), {1, s.queries, heads, s.size});
    b.then("Transpose", 21, {(name + "1").c_str()}, (name + "2").c_str(), {1, heads, s.queries, s.size}, {{"perm", order}});
  }
  const char *k = "k2", *v = "v2";
  if (s.past > 0) {
    b.then("Concat", 13, {"past_k", "k2"}, "all_k", {1, s.groups, s.keys(), s.size}, {{"axis", std::int64_t{2}}});
    b.then("Concat", 13, {"past_v", "v2"}, "all_v", {1, s.groups, s.keys(), s.size}, {{"axis", std::int64_t{2}}});
    b.graph.outputs = {b.value("all_k"), b.value("all_v")};
    k = "all_k", v = "all_v";
  }
  if (s.groups != s.heads) {
    const std::int64_t share = s.heads / s.groups;
    b.add_constant("wide", shape_of({1, s.groups, 1, s.keys(), s.size}));
    b.add_constant("repeats", shape_of({1, s.groups, share, s.keys(), s.size}));
    b.add_constant("flat", shape_of({1, s.heads, s.keys(), s.size}));
    for (const auto& [from, name] : {std::pair{k, "kx"}, std::pair{v, "vx"}}) {
      const std::string n = name;
      b.then("Reshape", 21, {from, "wide"}, (n + "1").c_str(), {1, s.groups, 1, s.keys(), s.size});
      b.then("Expand", 13, {(n + "1").c_str(), "repeats"}, (n + "2").c_str(), {1, s.groups, share, s.keys(), s.size});
      b.then("Reshape", 21, {(n + "2").c_str(), "flat"}, name, {1, s.heads, s.keys(), s.size});
    }
    k = "kx", v = "vx";
  }
  b.then("Transpose", 21, {k}, "kt", {1, s.heads, s.size, s.keys()}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}});
  b.add_constant("scale", Tensor::of<float>({}, {1 / std::sqrt(static_cast<float>(s.size))}));
  b.add_constant("mask", Bench::random({1, 1, s.queries, s.keys()}));
  const Dims scores = {1, s.heads, s.queries, s.keys()};
  b.then("MatMul", 13, {"q2", "kt"}, "s1", scores).then("Mul", 14, {"s1", "scale"}, "s2", scores);
  b.then("Add", 14, {"s2", "mask"}, "s3", scores).then("Softmax", 13, {"s3"}, "s4", scores, {{"axis", std::int64_t{-1}}});
  b.then("MatMul", 13, {"s4", v}, "y1", {1, s.heads, s.queries, s.size});
  b.then("Transpose", 21, {"y1"}, "y2", {1, s.queries, s.heads, s.size}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  b.add_constant("y_shape", shape_of({1, s.queries, s.heads * s.size}));
  b.then("Reshape", 21, {"y2", "y_shape"}, "y", {1, s.queries, s.heads * s.size});
  b.finish(state, "y");
}

#define ASHLAR_ATTENTION(name, sizes)                                                                         \
  BENCHMARK_CAPTURE(BM_Attention, name, sizes)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime(); \
  BENCHMARK_CAPTURE(BM_AttentionDecomposed, name, sizes)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime()
ASHLAR_ATTENTION(minilm, kMiniLm);
ASHLAR_ATTENTION(bert_base, kBertBase);
ASHLAR_ATTENTION(vit, kVit);
ASHLAR_ATTENTION(whisper, kWhisper);
ASHLAR_ATTENTION(llama_prefill, kLlamaPrefill);
ASHLAR_ATTENTION(llama_decode, kLlamaDecode);
ASHLAR_ATTENTION(gpt2_decode, kGpt2Decode);

/// A product of bert_base, a residual sum and its normalization, by how much of it is one node.
enum class Form { kNodes, kLinear, kLinearSkip };

void BM_LinearNormalization(benchmark::State& state, Form form) {
  constexpr std::int64_t kRows = 128, kDepth = 3072, kColumns = 768;
  const Dims y = {1, kRows, kColumns};
  Bench b;
  b.add_input("x", {1, kRows, kDepth});
  b.add_input("skip", y);
  b.add_constant("w", Bench::random({kDepth, kColumns}));
  for (const char* name : {"bias", "scale", "shift"}) b.add_constant(name, Bench::random({kColumns}));
  if (form == Form::kNodes) b.then("MatMul", 13, {"x", "w"}, "t", y).then("Add", 14, {"t", "bias"}, "u", y);
  else b.then("ashlar::Linear", 1, {"x", "w", "bias"}, "u", y);
  if (form == Form::kLinearSkip) {
    b.node("ashlar::SkipLayerNormalization", 1, {"u", "skip", "scale", "shift"}, {"y"});
    b.set_type("y", y);
  } else {
    b.then("Add", 14, {"u", "skip"}, "s", y);
    b.then("LayerNormalization", 17, {"s", "scale", "shift"}, "y", y);
  }
  b.finish(state, "y");
}
BENCHMARK_CAPTURE(BM_LinearNormalization, nodes, Form::kNodes)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_LinearNormalization, linear, Form::kLinear)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_LinearNormalization, linear_skip, Form::kLinearSkip)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
