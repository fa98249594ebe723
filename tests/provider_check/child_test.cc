// SPDX-License-Identifier: Apache-2.0
#include "child.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace ashlar::check {
namespace {

const Hear kNobody = [](const Json&) { return true; };

TEST(Child, TellsLinesAndFinishes) {
  std::vector<int> heard;
  const Ended ended = run_apart(
      [](const Tell& tell) {
        for (int i = 0; i < 3; ++i) tell({{"i", i}});
      },
      [&](const Json& line) {
        heard.push_back(line["i"]);
        return true;
      },
      10);
  EXPECT_EQ(ended.how, Ended::kFinished);
  EXPECT_EQ(heard, (std::vector<int>{0, 1, 2}));
}

TEST(Child, IsEndedWhenNobodyHearsMore) {
  int heard = 0;
  const Ended ended = run_apart(
      [](const Tell& tell) {
        for (;;) tell({{"i", 0}});
      },
      [&](const Json&) { return ++heard < 3; }, 10);
  EXPECT_EQ(ended.how, Ended::kFinished);
  EXPECT_EQ(heard, 3);
}

TEST(Child, SaysWhatItThrew) {
  const Ended ended = run_apart([](const Tell&) { throw std::runtime_error("no luck"); }, kNobody, 10);
  EXPECT_EQ(ended.how, Ended::kFailed);
  EXPECT_EQ(ended.sentence, "no luck");
}

TEST(Child, NamesTheSignalAndWhatWasBegun) {
  const Ended ended = run_apart(
      [](const Tell&) {
        set_doing("run of Relu");
        std::raise(SIGKILL);
      },
      kNobody, 10);
  EXPECT_EQ(ended.how, Ended::kCrashed);
  EXPECT_NE(ended.sentence.find("SIGKILL"), std::string::npos) << ended.sentence;
  EXPECT_NE(ended.sentence.find("begun last: run of Relu"), std::string::npos) << ended.sentence;
}

TEST(Child, NamesWhatTheAllocatorFound) {
  const Ended ended = run_apart(
      [](const Tell&) {
        std::fputs("free(): double free detected in tcache 2\n", stderr);
        std::abort();
      },
      kNobody, 10);
  EXPECT_EQ(ended.how, Ended::kCrashed);
  EXPECT_EQ(ended.sentence.find("a double free"), 0u) << ended.sentence;
  EXPECT_NE(ended.said.find("tcache"), std::string::npos);
}

TEST(Child, HangsWhenNothingIsHeard) {
  const Ended ended = run_apart(
      [](const Tell& tell) {
        tell({{"i", 0}});
        set_doing("drain");
        for (;;) pause();
      },
      kNobody, 0.2);
  EXPECT_EQ(ended.how, Ended::kHung);
  EXPECT_NE(ended.sentence.find("drain"), std::string::npos) << ended.sentence;
}

}  // namespace
}  // namespace ashlar::check
