// SPDX-License-Identifier: Apache-2.0
// Runs the text cases of tests/optimizer/cases (case_file.h says how they read): each pass alone, with every node taken. The graph it leaves must be
// the text, and compute what the graph before it computes. ASHLAR_UPDATE_CASES=1 writes what passes do into the files.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "ops/canonicalize.h"
#include "optimizer/pass.h"
#include "tests/optimizer/case_file.h"
#include "tests/optimizer/oracle.h"
#include "tests/optimizer/text_graph.h"
#include "tests/support/tensors.h"

namespace ashlar::optimizer {
namespace {

namespace fs = std::filesystem;
using testing::CaseFile;
using testing::TextCase;

const fs::path kFolder = fs::path(ASHLAR_SOURCE_DIR) / "tests/optimizer/cases";

struct Place {
  fs::path file;
  std::size_t index;
  std::string name;  ///< "fuse_gelu_both_orders"
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.file.string() << ", case " << place.index + 1; }

std::vector<Place> places() {
  std::vector<fs::path> files;
  if (fs::exists(kFolder))
    for (const auto& entry : fs::directory_iterator(kFolder))
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Place> out;
  for (const fs::path& file : files) {
    const CaseFile cases = CaseFile::read(file);
    for (std::size_t i = 0; i < cases.cases.size(); ++i) {
      std::string name = file.stem().string() + "_";
      for (const char c : cases.cases[i].title)
        if (std::isalnum(static_cast<unsigned char>(c))) name += c;
        else if (name.back() != '_') name += '_';
      std::replace(name.begin(), name.end(), '-', '_');
      out.push_back({file, i, std::move(name)});
    }
  }
  return out;
}

std::pair<std::string, std::string> assignment(const std::string& item) {
  const auto at = item.find('=');
  if (at == std::string::npos) throw std::runtime_error("'" + item + "' is no assignment");
  return {item.substr(0, at), item.substr(at + 1)};
}

/// Random inputs as a line of `dims` wants them.
std::vector<Tensor> inputs_of(const graph::Graph& graph, const TextCase& c, const std::vector<std::string>& dims, std::mt19937& rng) {
  std::map<std::string, std::int64_t> sizes;
  std::map<std::string, std::pair<double, double>> ranges;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const std::string& item : dims) sizes[assignment(item).first] = std::stoll(assignment(item).second);
  for (const auto& line : c.lines("inputs"))
    for (const std::string& item : line) {
      const auto [name, range] = assignment(item);
      ranges[name] = {std::stod(range), std::stod(range.substr(range.find("..") + 2))};
    }
  for (const auto& line : c.lines("shapes"))
    for (const std::string& item : line) {
      const auto [name, text] = assignment(item);
      std::istringstream numbers(text == "scalar" ? "" : text);
      for (std::string d; std::getline(numbers, d, 'x');) shapes[name].push_back(std::stoll(d));
      shapes[name];
    }
  std::vector<Tensor> out;
  for (const ValueId v : graph.inputs) {
    const graph::Value& value = graph.values[v];
    std::vector<std::int64_t> shape;
    if (const auto given = shapes.find(value.name); given != shapes.end()) shape = given->second;
    else if (!value.type.shape) throw std::runtime_error("'shapes:' must say what shape " + value.name + " has");
    else
      for (const Dim& d : *value.type.shape) shape.push_back(d.fixed() ? d.value : sizes.contains(d.symbol) ? sizes[d.symbol] : 3);
    const auto range = ranges.find(value.name);
    const auto [low, high] = range != ranges.end()                ? range->second
                             : testing::is_real(value.type.dtype) ? std::pair(-2.0, 2.0)
                                                                  : std::pair(0.0, 3.0);
    out.push_back(testing::random_tensor(rng, value.type.dtype, Shape(std::span<const std::int64_t>(shape)), low, high));
  }
  return out;
}

std::string near_misses(const Optimization& report) {
  std::string out;
  for (const auto& m : report.near_misses)
    out += (out.empty() ? "" : "\n") + m.rule + " at " + m.anchor.node + ": " + std::to_string(m.matched) + " of " +
           std::to_string(m.total) + ": " + m.reason;
  return out;
}

std::string without_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

double tolerance(DType dtype) { return dtype == DType::kFloat16 ? 4e-3 : dtype == DType::kBFloat16 ? 3e-2 : 1e-5; }

PassOptions options_of(const TextCase& c, const fs::path& file) {
  PassOptions options;
  for (const auto& line : c.lines("only")) options.only.insert(options.only.end(), line.begin(), line.end());
  if (options.only.empty()) options.only = {file.stem().string()};
  return options;
}

class Cases : public ::testing::TestWithParam<Place> {};

TEST_P(Cases, Hold) {
  const Place& place = GetParam();
  CaseFile file = CaseFile::read(place.file);
  TextCase& c = file.cases.at(place.index);
  ASSERT_TRUE(c.part("before") && c.part("after")) << "a case has the parts 'before' and 'after'";
  const testing::Oracle oracle;
  graph::Graph before = testing::imported_graph(*c.part("before"));
  graph::Graph after = graph::deep_copy(before);
  ops::canonicalize(before);
  const Optimization report =
      optimize(after, options_of(c, place.file), nullptr, [&](const graph::Graph& g) { return oracle.evaluate(g); });
  graph::verify(after);

  const std::string text = without_end(graph::to_text(after)), misses = near_misses(report);
  if (std::getenv("ASHLAR_UPDATE_CASES")) {
    *c.part("after") = text;
    if (std::string* written = c.part("near misses")) *written = misses;
    file.write(place.file);
  } else {
    EXPECT_EQ(text, *c.part("after"));
    if (const std::string* written = c.part("near misses")) {
      EXPECT_EQ(misses, *written);
    }
  }

  if (!c.lines("not run").empty()) return;
  std::mt19937 rng(7);
  auto runs = c.lines("dims");
  if (runs.empty()) runs.emplace_back();
  for (const auto& dims : runs) {
    const std::vector<Tensor> inputs = inputs_of(before, c, dims, rng);
    const std::vector<Tensor> expected = oracle.run(before, inputs), found = oracle.run(after, inputs);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_EQ(testing::difference(found[i], expected[i], tolerance(found[i].dtype())), "") << "output " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizer, Cases, ::testing::ValuesIn(places()), [](const auto& p) { return p.param.name; });

std::string kebab(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

TEST(CaseFiles, EveryPassHasOneWithARewriteAndARefusal) {
  for (const Pass& pass : pipeline()) {
    const fs::path file = kFolder / (pass.name + ".txt");
    EXPECT_TRUE(fs::exists(file)) << file << " is missing";
    if (!fs::exists(file)) continue;
    int rewrites = 0, refusals = 0;
    for (const TextCase& c : CaseFile::read(file).cases) {
      graph::Graph graph = testing::imported_graph(*c.part("before"));
      const testing::Oracle oracle;
      const Optimization report = optimize(graph, options_of(c, file), nullptr, [&](const graph::Graph& g) { return oracle.evaluate(g); });
      const bool any = std::any_of(report.rewrites.begin(), report.rewrites.end(), [&](const auto& r) { return r.pass == pass.name; });
      (any ? rewrites : refusals) += 1;
    }
    EXPECT_GE(rewrites, 1) << file << " has no case in which the pass does anything";
    EXPECT_GE(refusals, 1) << file << " has no case in which the pass leaves the graph alone";
  }
}

TEST(CaseFiles, EveryOneIsOfAPassThatRuns) {
  std::set<std::string> names;
  for (const Pass& pass : pipeline()) names.insert(pass.name);
  for (const auto& entry : fs::directory_iterator(kFolder))
    EXPECT_TRUE(names.contains(entry.path().stem().string())) << entry.path() << ": no such pass runs";
  for (const char* folder : {"passes", "patterns"})
    for (const auto& entry : fs::directory_iterator(fs::path(ASHLAR_SOURCE_DIR) / "src/optimizer" / folder)) {
      std::ifstream in(entry.path());
      std::ostringstream text;
      text << in.rdbuf();
      const std::string stem = entry.path().stem().string();
      if (text.str().find("\nPass " + stem + "()") == std::string::npos) continue;
      EXPECT_TRUE(names.contains(kebab(stem))) << entry.path() << " defines a pass that never runs";
    }
}

}  // namespace
}  // namespace ashlar::optimizer
