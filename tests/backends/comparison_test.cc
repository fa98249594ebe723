// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <ashlar/ashlar.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "apart.h"
#include "shrink.h"

namespace ashlar::comparison {
namespace {

using List = std::vector<std::uint32_t>;

Row row_of(const std::string& name) {
  for (const Row& row : all_rows())
    if (row.name == name) return row;
  throw std::invalid_argument(name);
}

List taken(const Row& row, Choices choices) {
  draw_case(row, choices);
  return choices.taken();
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_long_dimension(const Case& c) {
  for (const auto& [name, value] : c.inputs)
    for (const std::int64_t size : value.tensor().shape())
      if (size >= 5) return true;
  return false;
}

/// The planted fault: an element of the first output is wrong where an input has a dimension of five or more.
void fail_when_long(const Case& c, NamedValues& outputs) {
  if (!has_long_dimension(c) || outputs[0].second.tensor().dtype() != DType::kFloat32 || outputs[0].second.tensor().element_count() == 0)
    return;
  Tensor wrong = outputs[0].second.tensor().clone();
  wrong.mutable_data<float>()[0] += 1 + std::fabs(wrong.mutable_data<float>()[0]);
  NamedValues spoilt;
  for (const auto& [name, value] : outputs) spoilt.add(name, spoilt.empty() ? Value(wrong) : value);
  outputs = spoilt;
}

TEST(Choices, AreTheSameForTheSameSeedAndWhenReplayed) {
  const Row row = row_of("conv_chain");
  const List first = taken(row, Choices(7)), again = taken(row, Choices(7)), replayed = taken(row, Choices(first));
  EXPECT_EQ(first, again);
  EXPECT_EQ(first, replayed);
  EXPECT_NE(first, taken(row, Choices(8)));
}

TEST(Choices, GoOnWithZerosAndStayBelowTheBound) {
  Choices choices(List{9, 1});
  EXPECT_EQ(choices.below(4), 3u);
  EXPECT_EQ(choices.below(4), 1u);
  EXPECT_EQ(choices.below(4), 0u);
  EXPECT_EQ(choices.taken(), (List{3, 1, 0}));
}

TEST(Draw, MakesModelsThatLoadOfEveryRow) {
  if (!has(provider_names(), "reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  const Sides sides = {.subject = {"reference"}, .oracle = {"reference"}};
  for (const Row& row : all_rows()) {
    int agree = 0;
    std::string detail;
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      const Outcome outcome = judge(row, taken(row, Choices(seed)), sides);
      EXPECT_FALSE(outcome.failed()) << row.name << " seed " << seed << ": " << outcome.detail;
      agree += outcome.kind == Outcome::kAgrees;
      if (outcome.kind == Outcome::kBothFail) detail = outcome.detail;
    }
    EXPECT_GE(agree, 3) << row.name << " fails too often: " << detail;
  }
}

TEST(Draw, MakesVariantsOfOneModel) {
  const Row row = row_of("Relu");
  bool found = false;
  for (std::uint64_t seed = 0; seed < 50 && !found; ++seed) {
    const List list = taken(row, Choices(seed));
    Choices a(list), b(list);
    const Case first = draw_case(row, a, 0), second = draw_case(row, b, 1);
    found = first.model.SerializeAsString() == second.model.SerializeAsString() &&
            !(first.inputs[0].second.tensor().shape() == second.inputs[0].second.tensor().shape());
  }
  EXPECT_TRUE(found);
}

TEST(Shrink, KeepsTheFaultAndLittleElse) {
  if (!has(provider_names(), "reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  const Row row = row_of("conv_chain");
  const Sides sides = {.subject = {"reference"}, .oracle = {"reference"}, .fault = fail_when_long};
  List list;
  for (std::uint64_t seed = 0; list.empty(); ++seed) {
    const List candidate = taken(row, Choices(seed));
    Choices replay(candidate);
    if (draw_case(row, replay).model.graph().node_size() > 5 && judge(row, candidate, sides).failed()) list = candidate;
  }
  int asked = 0;
  const List small = shrink(
      list, 400,
      [&](const List& l) {
        ++asked;
        return judge(row, l, sides).failed();
      },
      [&](const List& l) { return taken(row, Choices(l)); });
  EXPECT_LE(asked, 400);
  ASSERT_TRUE(judge(row, small, sides).failed());
  Choices replay(small);
  const Case c = draw_case(row, replay);
  EXPECT_LE(c.model.graph().node_size(), 2);
  EXPECT_LE(c.inputs[0].second.tensor().element_count(), 16);
}

TEST(Judge, FindsAnOutputThatDiffers) {
  if (!has(provider_names(), "reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  const Row row = row_of("Relu");
  Sides sides = {.subject = {"reference"}, .oracle = {"reference"}};
  EXPECT_EQ(judge(row, List{}, sides).kind, Outcome::kAgrees);
  sides.fault = [](const Case&, NamedValues& outputs) { outputs = {{outputs[0].first, Tensor::of<float>({}, {7})}}; };
  EXPECT_EQ(judge(row, List{}, sides).kind, Outcome::kDiffers);
  sides.fault = [](const Case&, NamedValues& outputs) { outputs = {{outputs[0].first, Tensor::of<float>({1}, {1})}}; };
  EXPECT_EQ(judge(row, List{}, sides).kind, Outcome::kShape);
}

TEST(Judge, TellsARefusalFromAFailure) {
  const auto names = provider_names();
  if (!has(names, "reference") || !has(names, "null")) GTEST_SKIP() << "this build has no provider 'reference' or 'null'";
  const Row row = row_of("Relu");
  EXPECT_EQ(judge(row, List{}, {.subject = {"reference"}, .oracle = {"reference"}}).kind, Outcome::kAgrees);
  EXPECT_EQ(judge(row, List{}, {.subject = {"null"}, .oracle = {"reference"}}).kind, Outcome::kRefused);
}

TEST(JudgeApart, ReportsACrashAndGoesOn) {
  std::vector<Outcome::Kind> kinds;
  judge_apart(
      kBatch + 3,
      [](std::size_t i) {
        if (i == 1) std::raise(SIGKILL);
        if (i == 3) _exit(9);
        return i == 2 ? Outcome{Outcome::kDiffers, "two"} : Outcome{};
      },
      [&](std::size_t, const Outcome& outcome) {
        kinds.push_back(outcome.kind);
        return true;
      });
  ASSERT_EQ(kinds.size(), kBatch + 3);
  EXPECT_EQ((std::vector(kinds.begin(), kinds.begin() + 5)),
            (std::vector{Outcome::kAgrees, Outcome::kCrashed, Outcome::kDiffers, Outcome::kCrashed, Outcome::kAgrees}));
}

TEST(JudgeApart, EndsWhenTheReportSaysSo) {
  std::size_t reported = 0;
  judge_apart(
      10, [](std::size_t) { return Outcome{}; }, [&](std::size_t, const Outcome&) { return ++reported < 4; });
  EXPECT_EQ(reported, 4u);
}

TEST(WriteCase, CanBeReadBack) {
  if (!has(provider_names(), "reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  const Row row = row_of("Gemm");
  const auto folder = std::filesystem::temp_directory_path() / ("ashlar_comparison_" + std::to_string(getpid()));
  write_case(row, List{}, {.subject = {}, .oracle = {"reference"}}, folder);
  const Model model = Model::load(folder / "model.onnx");
  NamedValues inputs;
  for (std::size_t i = 0; i < model.inputs().size(); ++i)
    inputs.add(model.inputs()[i].name,
               read_onnx_value(folder / "test_data_set_0" / ("input_" + std::to_string(i) + ".pb"), model.inputs()[i].type));
  const NamedValues outputs = Session(model, {.providers = {"reference"}}).run(inputs);
  const Value expected = read_onnx_value(folder / "test_data_set_0" / "output_0.pb", model.outputs()[0].type);
  EXPECT_EQ(outputs[0].second.type_string(), expected.type_string());
  EXPECT_TRUE(std::filesystem::exists(folder / "tolerance.json"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ashlar::comparison
