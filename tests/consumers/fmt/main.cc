// SPDX-License-Identifier: Apache-2.0
// Usage: consumer MODELS_DIR. Uses fmt's compiled library beside the copy of fmt inside Ashlar.
#include <fmt/format.h>

#include "digits.h"

int main(int argc, char** argv) {
  if (argc != 2 || use_ashlar(argv[1]) != 0) return 1;
  try {
    return fmt::format(fmt::runtime("{:d}"), "text").empty() ? 1 : 2;
  } catch (const fmt::format_error&) {
    return fmt::format("{:.3f} {:>5}", 3.14159, "ok") == "3.142    ok" ? 0 : 1;
  }
}
