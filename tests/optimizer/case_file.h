// SPDX-License-Identifier: Apache-2.0
// Text files of cases: what passes make of a model.
//
//   === name of the case: what it shows
//   only: pass-a, pass-b           the passes that run; else the one the file is named by
//   dims: N=2, S=5                 what inputs' symbolic dimensions are in a run (3 unless it is said); each such line is a run
//   inputs: x=0..9, y=-1..1        ranges of elements; else -2..2 for reals, 0..3 for integers
//   shapes: x=2x3, y=scalar        shapes of inputs whose rank the model does not say
//   not run: reason                the graphs' results are not compared
//   --- before
//   <ir_version: 10, opset_import: ["": 20]> g (float[N] x) => (float[N] y) { ... }
//   --- after
//   (graph::to_text of the result)
//   --- near misses                where it stands, exactly these: "rule at NODE: 7 of 8: reason"
//
// Lines that begin with # and what stands before the first case are comments.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ashlar::testing {

struct TextCase {
  std::string title;
  std::vector<std::string> head;                           ///< lines between the title and the first part
  std::vector<std::pair<std::string, std::string>> parts;  ///< "before" and its text
  /// The items of head lines `key: item, item`, one list a line.
  std::vector<std::vector<std::string>> lines(const std::string& key) const;
  /// The part's text without white space at its end; null where it is missing.
  const std::string* part(const std::string& name) const;
  std::string* part(const std::string& name);
};

struct CaseFile {
  std::string preamble;
  std::vector<TextCase> cases;

  /// Throws std::runtime_error for a file that cannot be read, or a case with unknown keys or parts.
  static CaseFile read(const std::filesystem::path& file);
  void write(const std::filesystem::path& file) const;
};

}  // namespace ashlar::testing
