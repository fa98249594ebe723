// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ashlar::cli {

/// One line on a terminal's standard error that says what the command is doing, erased in the end. Silent where standard error
/// is no terminal.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const char* stage);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
};

}  // namespace ashlar::cli
