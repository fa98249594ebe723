// SPDX-License-Identifier: Apache-2.0
#include "tests/optimizer/case_file.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

namespace ashlar::testing {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\n");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::string key_of(const std::string& line) { return trimmed(line.substr(0, line.find(':'))); }

const std::set<std::string> kKeys = {"only", "dims", "inputs", "shapes", "not run"};
const std::set<std::string> kParts = {"before", "after", "near misses"};

}  // namespace

std::vector<std::vector<std::string>> TextCase::lines(const std::string& key) const {
  std::vector<std::vector<std::string>> out;
  for (const std::string& line : head) {
    if (line[0] == '#' || key_of(line) != key) continue;
    std::istringstream items(line.substr(line.find(':') + 1));
    out.emplace_back();
    for (std::string item; std::getline(items, item, ',');)
      if (!trimmed(item).empty()) out.back().push_back(trimmed(item));
  }
  return out;
}

const std::string* TextCase::part(const std::string& name) const {
  const auto at = std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.first == name; });
  return at == parts.end() ? nullptr : &at->second;
}

std::string* TextCase::part(const std::string& name) { return const_cast<std::string*>(std::as_const(*this).part(name)); }

CaseFile CaseFile::read(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(file.string() + " cannot be read");
  CaseFile out;
  int number = 0;
  const auto fail = [&](const std::string& what) { throw std::runtime_error(file.string() + ":" + std::to_string(number) + ": " + what); };
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.starts_with("=== ")) {
      out.cases.push_back({.title = trimmed(line.substr(4)), .head = {}, .parts = {}});
    } else if (out.cases.empty()) {
      out.preamble += line + "\n";
    } else if (line.starts_with("--- ")) {
      const std::string name = trimmed(line.substr(4));
      if (!kParts.contains(name) || out.cases.back().part(name)) fail("no part is named '" + name + "', or there are two");
      out.cases.back().parts.emplace_back(name, "");
    } else if (!out.cases.back().parts.empty()) {
      out.cases.back().parts.back().second += line + "\n";
    } else if (!trimmed(line).empty()) {
      if (line[0] != '#' && !kKeys.contains(key_of(line))) fail("no key is named '" + key_of(line) + "'");
      out.cases.back().head.push_back(line);
    }
  }
  for (TextCase& c : out.cases)
    for (auto& [name, text] : c.parts) {
      const auto last = text.find_last_not_of(" \t\n");
      text.resize(last == std::string::npos ? 0 : last + 1);
    }
  return out;
}

void CaseFile::write(const std::filesystem::path& file) const {
  std::ofstream out(file);
  out << preamble;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    out << (i ? "\n" : "") << "=== " << cases[i].title << "\n";
    for (const std::string& line : cases[i].head) out << line << "\n";
    for (const auto& [name, text] : cases[i].parts) out << "--- " << name << "\n" << text << (text.empty() ? "" : "\n");
  }
  if (!out.flush()) throw std::runtime_error(file.string() + " cannot be written");
}

}  // namespace ashlar::testing
