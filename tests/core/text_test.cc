// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <gtest/gtest.h>

namespace ashlar::core {
namespace {

TEST(Nearest, FindsATypingErrorAndNothingFarAway) {
  const std::vector<std::string> names = {"image", "mask", "scale"};
  EXPECT_EQ(nearest("imgae", names), "image");
  EXPECT_EQ(nearest("Mask", names), "mask");
  EXPECT_EQ(nearest("temperature", names), "");
  EXPECT_EQ(nearest("", names), "");
}

TEST(Suggestion, ListsAtMostEightNames) {
  const std::vector<std::string> names(20, "alpha_value");
  EXPECT_EQ(suggestion("zz", {}), "");
  EXPECT_EQ(suggestion("alpha_valu", names), "; did you mean 'alpha_value'?");
  EXPECT_NE(suggestion("zz", names).find("alpha_value, ..."), std::string::npos);
}

TEST(Printable, ReplacesControlBytesAndBrokenUtf8AndCuts) {
  EXPECT_EQ(printable("a\x01"
                      "b\xff"),
            "a?b?");
  EXPECT_EQ(printable("\xc3\xa4"), "\xc3\xa4");
  EXPECT_EQ(printable(std::string(300, 'x'), 10), "xxxxxxxxxx...");
}

}  // namespace
}  // namespace ashlar::core
