// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <cstdio>

#include <unistd.h>

namespace ashlar::cli {

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::show(const char* stage) {
  clear();
  if (!terminal_) return;
  std::fprintf(stderr, "%s ...", stage);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace ashlar::cli
