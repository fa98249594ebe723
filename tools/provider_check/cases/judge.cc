// SPDX-License-Identifier: Apache-2.0
#include "judge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <random>

#include <fmt/format.h>

#include <ashlar/ashlar.h>

#include "compare.h"
#include "elements.h"

namespace ashlar::comparison {
namespace {

constexpr double kRelative = 1e-5, kAbsolute = 1e-6;  // float32, of the largest magnitude and beside it

/// Both sides' rounding of one element of the dtype.
double unit(DType dtype) {
  switch (dtype) {
    case DType::kFloat16: return 2e-3;
    case DType::kBFloat16: return 1.6e-2;
    case DType::kFloat64: return 1e-10;
    case DType::kFloat32: return 1e-4;
    default: return 0.13;  // floats of eight bits: one step
  }
}

double largest(const Tensor& tensor) {
  double most = 0;
  if (!cli::is_float(tensor.dtype())) return most;
  for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.element_count()); ++i) {
    const auto magnitude = static_cast<double>(std::fabs(cli::number_at(tensor, i)));
    if (std::isfinite(magnitude)) most = std::max(most, magnitude);
  }
  return most;
}

cli::Tolerance tolerance_of(const Row& row, const Value& expected) {
  if (!expected.is_tensor()) return {};
  const DType dtype = expected.tensor().dtype();
  const double scale = dtype == DType::kFloat64 ? 1e-6 : 1, most = largest(expected.tensor());
  cli::Tolerance t{.rtol = unit(dtype), .atol = row.slack * scale * (kAbsolute + kRelative * most)};
  if (dtype == DType::kFloat16 || dtype == DType::kBFloat16) t.atol += unit(dtype) * most / 4;
  return t;
}

/// A tensor's numbers as float64.
Value as_reals(const Value& value) {
  const Tensor& from = value.tensor();
  Tensor to = Tensor::zeros(DType::kFloat64, from.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(from.element_count()); ++i)
    to.mutable_data<double>()[i] = static_cast<double>(cli::number_at(from, i));
  return to;
}

std::optional<cli::Difference> difference(const Row& row, const Value& actual, const Value& expected, double noise) {
  cli::Tolerance tolerance = tolerance_of(row, expected);
  tolerance.atol += noise;
  if (!row.ties || actual.type_string() != expected.type_string() || !cli::is_integer(expected.tensor().dtype()))
    return cli::compare(actual, expected, tolerance);
  return cli::compare(as_reals(actual), as_reals(expected), {.rtol = 0, .atol = 1});
}

Model parse(const Case& c) {
  const std::string bytes = c.model.SerializeAsString();
  return Model::parse(std::as_bytes(std::span(bytes)));
}

bool has_symbols(const Case& c) {
  for (const auto& input : c.model.graph().input()) {
    if (!input.type().tensor_type().has_shape()) return true;
    for (const auto& dim : input.type().tensor_type().shape().dim())
      if (!dim.has_dim_value()) return true;
  }
  return false;
}

/// The variants that are of one model; two where they differ in elements alone.
std::vector<Case> variants(const Row& row, const std::vector<std::uint32_t>& choices) {
  std::vector<Case> out;
  std::string first;
  for (int v = 0; v < kVariants; ++v) {
    Choices replay(choices);
    Case c = draw_case(row, replay, v);
    const std::string bytes = c.model.SerializeAsString();
    if (v == 0) first = bytes;
    if (bytes == first) out.push_back(std::move(c));
    if (v == 1 && !has_symbols(out[0])) break;
  }
  return out;
}

/// The same elements in memory of their own.
NamedValues copied(const NamedValues& values) {
  NamedValues out;
  for (const auto& [name, value] : values) out.add(name, value.tensor().clone());
  return out;
}

bool same_bytes(const NamedValues& a, const NamedValues& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &x = a[i].second.tensor(), &y = b[i].second.tensor();
    if (x.dtype() != DType::kString && x.bytes() > 0 && std::memcmp(x.raw(), y.raw(), x.bytes()) != 0) return false;
  }
  return true;
}

struct Result {
  std::optional<Error> error;
  NamedValues outputs;
};

template <class Body> Result guarded(Body body) {
  try {
    return {std::nullopt, body()};
  } catch (const Error& e) {
    return {e, {}};
  }
}

/// A buffer like an output, every byte set, so that an element nobody wrote shows.
std::optional<Tensor> buffer_like(const Value& value) {
  if (!value.is_tensor() || value.tensor().dtype() == DType::kString) return std::nullopt;
  Tensor buffer = Tensor::zeros(value.tensor().dtype(), value.tensor().shape());
  if (buffer.bytes() > 0) std::memset(buffer.mutable_raw(), buffer.dtype() == DType::kBool ? 1 : 0x5a, buffer.bytes());
  return buffer;
}

/// Runs through a Run that is kept from variant to variant, outputs bound where the oracle has said how large they are.
NamedValues run_bound(Run& run, const Session& session, const NamedValues& inputs, const Result& expected) {
  for (const auto& [name, value] : inputs) run.bind_input(name, value);
  const auto& infos = session.outputs();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    const auto buffer = expected.error ? std::nullopt : buffer_like(expected.outputs.at(infos[i].name));
    if (buffer) run.bind_output(i, *buffer);
  }
  run();
  NamedValues out;
  for (std::size_t i = 0; i < infos.size(); ++i) out.add(infos[i].name, run.output(i));
  return out;
}

std::string state(const Result& r) { return r.error ? std::string(r.error->what()) : "gives outputs"; }

/// Relative to a number: a few roundings of it.
double rounding(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return 0x1p-21;
    case DType::kFloat64: return 0x1p-48;
    case DType::kFloat16: return 0x1p-11;
    case DType::kBFloat16: return 0x1p-8;
    default: return 0;
  }
}

/// The inputs, floats changed by as much as a few roundings change them.
NamedValues shaken(const NamedValues& inputs, std::uint32_t seed) {
  std::mt19937 random(seed);
  NamedValues out;
  for (const auto& [name, value] : inputs) {
    Tensor tensor = value.tensor().clone();
    const double step = rounding(tensor.dtype());
    for (std::size_t i = 0; step > 0 && i < static_cast<std::size_t>(tensor.element_count()); ++i)
      cli::set_number(tensor, i,
                      cli::number_at(tensor, i) * static_cast<cli::Number>(1 + step * (static_cast<double>(random()) * 0x1p-31 - 1)));
    out.add(name, tensor);
  }
  return out;
}

double largest_gap(const Tensor& a, const Tensor& b) {
  double most = 0;
  if (!(a.shape() == b.shape()) || !cli::is_float(a.dtype())) return most;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.element_count()); ++i) {
    const auto gap = static_cast<double>(std::fabs(cli::number_at(a, i) - cli::number_at(b, i)));
    if (std::isfinite(gap)) most = std::max(most, gap);
  }
  return most;
}

/// How far outputs move when the inputs are shaken: what rounding alone may do to an ill-conditioned case. By output.
std::map<std::string, double> rounding_noise(const Session& oracle, const NamedValues& inputs, const NamedValues& expected) {
  constexpr double kMargin = 16;
  std::map<std::string, double> noise;
  for (std::uint32_t seed = 0; seed < 3; ++seed) {
    const Result moved = guarded([&] { return oracle.run(shaken(inputs, seed)); });
    if (moved.error) continue;
    for (const auto& [name, value] : expected)
      if (value.is_tensor()) noise[name] = std::max(noise[name], kMargin * largest_gap(moved.outputs.at(name).tensor(), value.tensor()));
  }
  return noise;
}

Outcome compare_results(const Row& row, const Result& actual, const Result& expected, const std::map<std::string, double>& noise = {}) {
  for (const auto* side : {&actual, &expected})
    if (side->error && side->error->code() == ErrorCode::kUnsupported) return {Outcome::kRefused, side->error->what()};
  if (actual.error && expected.error && actual.error->code() == expected.error->code()) return {Outcome::kBothFail, state(expected)};
  // A device says late that work failed, and no longer why.
  const bool impossible = expected.error && expected.error->code() == ErrorCode::kRuntime;
  if (impossible && actual.error && actual.error->code() == ErrorCode::kDeviceError) return {Outcome::kBothFail, state(actual)};
  if (actual.error || expected.error)
    return {impossible && !actual.error ? Outcome::kHidesError : Outcome::kFailsAlone,
            fmt::format("{}, but the oracle: {}", state(actual), state(expected))};
  for (const auto& [name, value] : expected.outputs) {
    const auto moved = noise.find(name);
    if (const auto gap = difference(row, actual.outputs.at(name), value, moved == noise.end() ? 0 : moved->second))
      return {gap->reason.empty() ? Outcome::kDiffers : Outcome::kShape, fmt::format("{}: {}", name, gap->to_string())};
  }
  return {};
}

Outcome judge_model(const Row& row, const std::vector<Case>& cases, const Sides& sides) {
  std::optional<Model> parsed;
  if (const Result read = guarded([&] { return parsed.emplace(parse(cases[0])), NamedValues(); }); read.error)
    return {Outcome::kBothFail, read.error->what()};
  const Model& model = *parsed;
  std::optional<Session> subject, oracle;
  const Result made_subject = guarded([&] {
    return subject.emplace(model, SessionOptions{.providers = sides.subject, .threads = cases[0].threads, .passes = PassOptions::none()}),
           NamedValues();
  });
  const Result made_oracle = guarded([&] {
    return oracle.emplace(model, SessionOptions{.providers = sides.oracle, .threads = 1, .passes = PassOptions::none()}), NamedValues();
  });
  for (const Result* side : {&made_subject, &made_oracle})
    if (side->error && side->error->code() == ErrorCode::kUnsupported) return compare_results(row, made_subject, made_oracle);
  // An operator that no provider of the subject takes became its function, and that is not valid for this dtype.
  if (made_subject.error && made_subject.error->code() == ErrorCode::kInvalidModel && oracle)
    return {Outcome::kRefused, made_subject.error->what()};
  if (made_subject.error && made_oracle.error) return compare_results(row, made_subject, made_oracle);

  std::optional<Run> run;
  if (subject) run.emplace(subject->prepare());
  Outcome worst;
  for (std::size_t i = 0; i <= cases.size(); ++i) {
    const Case& c = cases[i % cases.size()];
    const Result expected = oracle ? guarded([&] { return oracle->run(c.inputs); }) : made_oracle;
    const NamedValues inputs = copied(c.inputs);
    Result actual = !subject            ? made_subject
                    : i == cases.size() ? guarded([&] { return subject->run(inputs); })
                                        : guarded([&] { return run_bound(*run, *subject, inputs, expected); });
    if (actual.error && actual.error->code() == ErrorCode::kInvalidArgument)
      actual = guarded([&] { return subject->run(inputs); });  // a bound buffer was too small: an output has another shape
    if (sides.fault && !actual.error) sides.fault(c, actual.outputs);
    Outcome outcome = compare_results(row, actual, expected);
    if (outcome.kind == Outcome::kDiffers)
      outcome = compare_results(row, actual, expected, rounding_noise(*oracle, c.inputs, expected.outputs));
    if (!outcome.failed() && !same_bytes(inputs, c.inputs)) outcome = {Outcome::kDiffers, "an input was written to"};
    if (outcome.failed()) {
      if (cases.size() > 1) outcome.detail = fmt::format("run {} of {}: {}", i + 1, cases.size() + 1, outcome.detail);
      return outcome;
    }
    if (outcome.kind == Outcome::kRefused) return outcome;
    if (actual.error && actual.error->code() == ErrorCode::kDeviceError) return outcome;  // the device does not go on
    if (i == 0) worst = outcome;
  }
  return worst;
}

}  // namespace

Case draw_case(const Row& row, Choices& choices, int variant) {
  Draw d(choices, variant);
  row.draw(d, row);
  return d.finish();
}

Outcome judge(const Row& row, const std::vector<std::uint32_t>& choices, const Sides& sides) {
  try {
    const std::vector<Case> cases = variants(row, choices);
    return judge_model(row, cases, sides);
  } catch (const std::exception& e) {
    return {Outcome::kFailsAlone, e.what()};
  }
}

void write_case(const Row& row, const std::vector<std::uint32_t>& choices, const Sides& sides, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::vector<Case> cases = variants(row, choices);
  if (cases.size() > 1) cases.push_back(cases[0]);
  std::ofstream(folder / "model.onnx", std::ios::binary) << cases[0].model.SerializeAsString();
  cli::Tolerance loosest{.rtol = 0, .atol = 0};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto set = folder / fmt::format("test_data_set_{}", i);
    std::filesystem::create_directories(set);
    int number = 0;
    for (const auto& [name, value] : cases[i].inputs) write_onnx_value(set / fmt::format("input_{}.pb", number++), value, name);
    const Result expected = guarded([&] {
      return Session(parse(cases[i]), {.providers = sides.oracle, .threads = 1, .passes = PassOptions::none()}).run(cases[i].inputs);
    });
    number = 0;
    for (const auto& [name, value] : expected.outputs) {
      write_onnx_value(set / fmt::format("output_{}.pb", number++), value, name);
      const cli::Tolerance t = tolerance_of(row, value);
      loosest = {.rtol = std::max(loosest.rtol, t.rtol), .atol = std::max(loosest.atol, t.atol)};
    }
  }
  std::ofstream(folder / "tolerance.json") << fmt::format("{{\"rtol\": {}, \"atol\": {}}}\n", loosest.rtol, loosest.atol);
}

std::string describe(const Row& row, const std::vector<std::uint32_t>& choices) {
  std::string text;
  const std::vector<Case> cases = variants(row, choices);
  try {
    text = parse(cases[0]).to_text();
  } catch (const Error& e) {
    text = e.what();
  }
  for (const Case& c : cases) {
    text += "inputs:";
    for (const auto& [name, value] : c.inputs) text += fmt::format(" {} {}", name, value.type_string());
    text += fmt::format("; {} threads\n", c.threads);
  }
  return text;
}

}  // namespace ashlar::comparison
