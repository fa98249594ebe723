// SPDX-License-Identifier: Apache-2.0
#include "data_set.h"

#include <charconv>
#include <map>
#include <string_view>
#include <system_error>

#include <ashlar/value_io.h>

#include "fail.h"

namespace ashlar::cli {
namespace fs = std::filesystem;

namespace {

// PREFIX_J.pb files by J.
std::map<std::size_t, fs::path> numbered(const fs::path& directory, std::string_view prefix) {
  std::error_code code;
  if (!fs::is_directory(directory, code)) throw Error(ErrorCode::kNotFound, "no such directory", {.file = directory.string()});
  std::map<std::size_t, fs::path> files;
  for (auto it = fs::directory_iterator(directory, code); !code && it != fs::directory_iterator(); it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".pb")) continue;
    const char* first = name.data() + prefix.size();
    const char* last = name.data() + name.size() - 3;
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(first, last, number);
    if (error == std::errc() && end == last) files[number] = it->path();
  }
  if (code) throw Error(ErrorCode::kIo, "the directory cannot be read", {.file = directory.string()});
  return files;
}

void require_below(const std::map<std::size_t, fs::path>& files, std::size_t count, std::string_view what) {
  if (!files.empty() && files.rbegin()->first >= count)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the model has {} {}", count, what), {.file = files.rbegin()->second.string()});
}

}  // namespace

NamedValues read_data_set_inputs(const fs::path& directory, const std::vector<ValueInfo>& inputs) {
  const auto files = numbered(directory, "input_");
  std::vector<const ValueInfo*> all, required;
  for (const ValueInfo& info : inputs) {
    all.push_back(&info);
    if (!info.has_default) required.push_back(&info);
  }
  require_below(files, all.size(), "inputs");
  const bool only_required = files.empty() || files.rbegin()->first < required.size();
  const auto& numbering = only_required ? required : all;
  NamedValues values;
  for (const auto& [number, file] : files) values.add(numbering[number]->name, read_onnx_value(file, numbering[number]->type));
  for (const ValueInfo* info : required)
    if (!values.contains(info->name))
      throw Error(ErrorCode::kInvalidArgument, "the data set has no file for an input", {.tensor = info->name, .file = directory.string()});
  return values;
}

std::vector<ExpectedOutput> read_data_set_outputs(const fs::path& directory, const std::vector<ValueInfo>& outputs) {
  const auto files = numbered(directory, "output_");
  require_below(files, outputs.size(), "outputs");
  std::vector<ExpectedOutput> expected;
  for (const auto& [number, file] : files)
    expected.push_back({outputs[number].name, file.filename().string(), read_onnx_value(file, outputs[number].type)});
  return expected;
}

}  // namespace ashlar::cli
