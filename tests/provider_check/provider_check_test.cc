// SPDX-License-Identifier: Apache-2.0
// The checks on providers that this program links. The planted faults of the example provider are in faults_test.py.
#include "provider_check.h"

#include <algorithm>
#include <string>

#include <ashlar/error.h>
#include <ashlar/providers.h>
#include <gtest/gtest.h>

#include "target.h"
#include "tests/support/device_providers.h"

namespace ashlar::check {
namespace {

bool has_provider(const std::string& name) {
  const auto names = provider_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

const CheckResult& check_named(const Report& report, const std::string& name) {
  static const CheckResult none;
  for (const CheckResult& c : report.checks)
    if (c.name == name) return c;
  ADD_FAILURE() << "no check " << name;
  return none;
}

std::string failures(const Report& report) {
  std::string out;
  for (const CheckResult& c : report.checks)
    if (c.state == CheckResult::kFailed) out += to_text(c);
  return out;
}

TEST(Target, HasOptionsAfterAQuestionMark) {
  const Target target = parse_target("./lib.so?a=1&b=x=y");
  EXPECT_EQ(target.name, "./lib.so");
  EXPECT_TRUE(target.is_path());
  ASSERT_EQ(target.options.size(), 2u);
  EXPECT_EQ(target.options[1], (std::pair<std::string, std::string>("b", "x=y")));
  EXPECT_EQ(target.spec("checked"), "checked?a=1&b=x=y");
  EXPECT_FALSE(parse_target("cpu").is_path());
  EXPECT_THROW(parse_target("cpu?level"), Error);
  EXPECT_THROW(parse_target("?a=1"), Error);
}

TEST(CheckProvider, RefusesWhatIsNotThere) {
  const auto code_of = [](const Options& options) {
    try {
      check_provider(options);
      return 0;
    } catch (const Error& e) {
      return static_cast<int>(e.code());
    }
  };
  EXPECT_EQ(code_of({.target = "no_such_provider"}), ASHLAR_NOT_FOUND);
  EXPECT_EQ(code_of({.target = "null", .only = "no_such_check"}), ASHLAR_NOT_FOUND);
  EXPECT_EQ(code_of({.target = "null", .operators = "NoSuchOperator"}), ASHLAR_NOT_FOUND);
  EXPECT_EQ(code_of({.target = "null", .operators = "["}), ASHLAR_INVALID_ARGUMENT);
  EXPECT_NE(code_of({.target = "./no_such_library.so"}), 0);
}

TEST(CheckProvider, SkipsWhatAProviderWithoutKernelsCannotShow) {
  if (!has_provider("null")) GTEST_SKIP() << "this build has no provider 'null'";
  const Report report = check_provider({.target = "null"});
  EXPECT_EQ(failures(report), "");
  EXPECT_EQ(check_named(report, "conformance").state, CheckResult::kSkipped);
  EXPECT_EQ(check_named(report, "version").state, CheckResult::kPassed);
  EXPECT_EQ(report.checks.size(), check_names().size());
}

TEST(CheckProvider, PassesTheCpuProvider) {
  if (!has_provider("reference") || !has_provider("cpu")) GTEST_SKIP() << "this build has no provider 'reference' or 'cpu'";
  const Report report =
      check_provider({.target = "cpu", .cases = 60, .operators = "^(Add|Concat|Conv|MatMul|Softmax|Reshape|conv_chain|view_chain)$"});
  EXPECT_EQ(failures(report), "");
}

TEST(CheckProvider, PassesTheReferenceProvider) {
  if (!has_provider("reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  const Report report =
      check_provider({.target = "reference", .cases = 60, .operators = "^(Add|Concat|Conv|MatMul|NonZero|Relu|Reshape)$"});
  EXPECT_EQ(failures(report), "");
  EXPECT_EQ(report.coverage.at("Conv").failed, 0);
  EXPECT_GT(report.coverage.at("Conv").compared, 0);
  EXPECT_TRUE(report.coverage.at("Conv").claimed.contains("float32"));
}

/// Every check on a provider over a device, some operators and a chain.
void pass_device(const std::string& name, AshlarProviderEntry entry) {
  if (!has_provider("reference")) GTEST_SKIP() << "this build has no provider 'reference'";
  add_linked_provider(name, entry);
  const Report report =
      check_provider({.target = name, .cases = 60, .operators = "^(Add|Concat|Conv|Gather|MatMul|NonZero|Relu|Reshape|conv_chain)$"});
  EXPECT_EQ(failures(report), "");
  for (const char* check : {"copies", "events", "capture", "failures", "ordering", "copy-failure", "device-lost"})
    EXPECT_EQ(check_named(report, check).state, CheckResult::kPassed) << check;
}
TEST(CheckProvider, PassesADeviceThatDoesNothingUntilItMust) { pass_device("lazy", &testing::lazy_provider); }
TEST(CheckProvider, PassesADeviceOfThreads) { pass_device("async", &testing::async_provider); }

TEST(Report, IsTextAndJson) {
  Report report{.target = "x.so", .name = "x", .version = "1", .device = "d", .checks = {}, .coverage = {}};
  report.checks.push_back(
      {.name = "bounds", .state = CheckResult::kFailed, .found = "", .findings = {{"bounds", "it writes", "line\nline"}}, .more = 2});
  report.checks.push_back({.name = "limits", .state = CheckResult::kSkipped, .found = "no device", .findings = {}, .more = 0});
  report.coverage["Relu"] = {.claimed = {"float32"}, .refused = {{"no_kernel_dtype", 3}}, .compared = 4, .both_fail = 0, .failed = 1};
  report.coverage["Conv"] = {.claimed = {}, .refused = {{"no_kernel_op", 1}}, .compared = 0, .both_fail = 0, .failed = 0};
  EXPECT_EQ(to_text(report.checks[0]), "bounds              FAILED \n  it writes\n    line\n    line\n  and 2 more\n");
  EXPECT_EQ(summary(report), "0 passed, 1 failed, 1 skipped");
  EXPECT_NE(coverage_text(report).find("not claimed: Conv"), std::string::npos);
  const Json json = to_json(report);
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["checks"][0]["findings"][0]["sentence"], "it writes");
  EXPECT_EQ(json["coverage"]["Relu"]["refused"]["no_kernel_dtype"], 3);
}

}  // namespace
}  // namespace ashlar::check
