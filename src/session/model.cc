// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <ashlar/error.h>
#include <ashlar/model.h>
#include <ashlar/value_io.h>

#include "core/allocate.h"
#include "onnx/onnx.h"
#include "session/model_impl.h"

namespace ashlar::inline v0 {
namespace {

Model make(onnx::Imported imported) {
  auto impl = std::make_shared<Model::Impl>();
  const auto add = [](std::vector<ValueInfo>& to, const graph::Graph& g, const std::vector<graph::ValueId>& ids) {
    for (const graph::ValueId id : ids) to.push_back({g.values[id].name, g.values[id].type, g.values[id].constant.defined()});
  };
  impl->info = std::move(imported.info);
  impl->graph = std::make_shared<const graph::Graph>(std::move(imported.graph));
  graph::verify(*impl->graph);
  add(impl->inputs, *impl->graph, impl->graph->inputs);
  add(impl->outputs, *impl->graph, impl->graph->outputs);
  return Model(std::move(impl));
}

/// Loading may meet more than Error: memory that runs out, above all.
template <class Body> auto guarded(const std::string& file, Body body) {
  try {
    return body();
  } catch (const Error& e) {
    throw e.with({.file = file});
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory", {.file = file});
  }
}

}  // namespace

Model Model::load(const std::filesystem::path& file) {
  return guarded(file.string(), [&] { return make(onnx::load(file)); });
}

Model Model::plan(const std::filesystem::path& file) {
  return guarded(file.string(), [&] { return make(onnx::load(file, true)); });
}

Model Model::parse(std::span<const std::byte> bytes, const std::filesystem::path& directory) {
  return guarded("", [&] {
    const std::shared_ptr<void> copy = core::allocate_aligned(bytes.size());
    if (!copy) throw std::bad_alloc();
    if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
    return make(onnx::parse({static_cast<const std::byte*>(copy.get()), bytes.size()}, copy, directory, ""));
  });
}

const std::vector<ValueInfo>& Model::inputs() const noexcept { return impl_->inputs; }
const std::vector<ValueInfo>& Model::outputs() const noexcept { return impl_->outputs; }
const Model::Info& Model::info() const noexcept { return impl_->info; }
std::string Model::to_text() const { return graph::to_text(*impl_->graph); }

Value read_onnx_value(const std::filesystem::path& file, const ValueType& type) {
  return guarded(file.string(), [&] { return onnx::read_value(file, type); });
}

void write_onnx_value(const std::filesystem::path& file, const Value& value, const std::string& name) {
  guarded(file.string(), [&] { onnx::write_value(file, value, name); });
}

}  // namespace ashlar::inline v0
