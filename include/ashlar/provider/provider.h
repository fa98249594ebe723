// SPDX-License-Identifier: Apache-2.0
// The C++ face of the provider border: header-only, over abi.h alone; a plugin that includes it links nothing of Ashlar.
//
// Here is what a kernel needs: views of nodes, values and tensors, the contexts of bind and run, the Kernel interface and the row
// that registers one. table_provider.h makes a provider of tables of such rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/dtype.h>
#include <ashlar/provider/abi.h>
#include <ashlar/provider/dims.h>
#include <ashlar/provider/failure.h>

namespace ashlar::provider {

using ashlar::DType;

inline const char* dtype_name(DType dtype) {
  static constexpr const char* names[] = {"undefined",      "float32",    "uint8",          "int8",       "uint16",    "int16",
                                          "int32",          "int64",      "string",         "bool",       "float16",   "float64",
                                          "uint32",         "uint64",     "complex64",      "complex128", "bfloat16",  "float8e4m3fn",
                                          "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",      "float4e2m1",
                                          "float8e8m0",     "uint2",      "int2",           "float6e2m3", "float6e3m2"};
  const auto i = static_cast<std::size_t>(dtype);
  return i < std::size(names) ? names[i] : "undefined";
}

/// A tensor at the border. Borrows.
class TensorView {
 public:
  TensorView(const AshlarTensor* tensor, const AshlarHost* host) : tensor_(tensor), host_(host) {}
  DType dtype() const { return static_cast<DType>(tensor_->dtype); }
  int rank() const { return tensor_->rank; }
  std::int64_t dim(std::int64_t i) const { return tensor_->dims[i]; }
  Dims dims() const { return Dims(std::span(tensor_->dims, static_cast<std::size_t>(tensor_->rank))); }
  std::int64_t count() const { return static_cast<std::int64_t>(tensor_->count); }
  std::uint64_t bytes() const { return tensor_->bytes; }
  /// 0: dense row-major; else a tag of the provider's own.
  std::uint64_t layout() const { return tensor_->layout; }
  /// 0, or how many places the storage has along the axis that Kernel::growths names for this operand.
  std::int64_t room() const { return tensor_->room; }
  bool has_data() const { return tensor_->data != nullptr || tensor_->count == 0; }
  void* raw() const { return tensor_->data; }
  const AshlarTensor& abi() const { return *tensor_; }

  /// The elements; T must be of the dtype's size (a kernel chooses T by dtype). At run they are aligned for T.
  template <class T> const T* data() const { return static_cast<const T*>(tensor_->data); }
  template <class T> T* mutable_data() const { return static_cast<T*>(tensor_->data); }
  /// A copy of the elements, from any alignment.
  template <class T> std::vector<T> values() const {
    std::vector<T> out(static_cast<std::size_t>(count()));
    if (!out.empty()) std::memcpy(static_cast<void*>(out.data()), tensor_->data, out.size() * sizeof(T));
    return out;
  }
  /// A copy of an integer tensor's elements (int32 or int64), such as axes or a target shape.
  std::vector<std::int64_t> indices() const {
    if (dtype() == DType::kInt64) return values<std::int64_t>();
    check(dtype() == DType::kInt32, "expected integers, got ", dtype_name(dtype()));
    const auto narrow = values<std::int32_t>();
    return {narrow.begin(), narrow.end()};
  }
  std::string_view string(std::int64_t i) const {
    const AshlarString s = host_->string_get(tensor_, static_cast<std::uint64_t>(i));
    return {s.data, s.size};
  }
  void set_string(std::int64_t i, std::string_view value) const {
    AshlarStatus status = new_status();
    if (const AshlarCode code = host_->string_set(tensor_, static_cast<std::uint64_t>(i), {value.data(), value.size()}, &status))
      throw Failure(code, status.message);
  }

 private:
  const AshlarTensor* tensor_;
  const AshlarHost* host_;
};

/// The i-th of a step's operands; a Failure when it is left out, so that a kernel which forgot to ask gets an error.
template <class Tensor> Tensor* operand(Tensor* const* operands, std::uint32_t count, int i, const char* what) {
  check(i >= 0 && static_cast<std::uint32_t>(i) < count && operands[i], what, " ", i, " is left out");
  return operands[i];
}

/// What is known of a value before any run.
class ValueView {
 public:
  ValueView(const AshlarValue* value, const AshlarHost* host) : value_(value), host_(host) {}
  std::string_view name() const { return value_->name; }
  bool is_tensor() const { return value_->is_tensor != 0; }
  DType dtype() const { return static_cast<DType>(value_->dtype); }
  /// -1 when unknown.
  int rank() const { return value_->rank; }
  /// -1 when not fixed.
  std::int64_t dim(int i) const { return value_->dims[i]; }
  /// The value when it is known before any run. Its data may be unaligned: read it with values<T>().
  std::optional<TensorView> constant() const {
    if (!value_->constant) return std::nullopt;
    return TensorView(value_->constant, host_);
  }

 private:
  const AshlarValue* value_;
  const AshlarHost* host_;
};

/// A node of the graph view.
class NodeView {
 public:
  NodeView(const AshlarGraph* graph, std::uint32_t index, const AshlarHost* host)
      : graph_(graph), index_(index), host_(host),
        node_(reinterpret_cast<const AshlarNode*>(reinterpret_cast<const char*>(graph->nodes) + std::size_t{index} * graph->node_stride)) {}

  std::uint32_t index() const { return index_; }
  const AshlarGraph* graph() const { return graph_; }
  const AshlarHost* host() const { return host_; }
  const AshlarNode& abi() const { return *node_; }
  std::string_view id() const { return node_->id; }
  std::string_view op_type() const { return node_->op_type; }
  std::string_view domain() const { return node_->domain; }
  int since_version() const { return node_->since_version; }

  int input_count() const { return static_cast<int>(node_->input_count); }
  int output_count() const { return static_cast<int>(node_->output_count); }
  bool has_input(int i) const { return i < input_count() && node_->inputs[i] != ASHLAR_NONE; }
  bool has_output(int i) const { return i < output_count() && node_->outputs[i] != ASHLAR_NONE; }
  ValueView input(int i) const { return value(node_->inputs[i]); }
  ValueView output(int i) const { return value(node_->outputs[i]); }
  /// The id of the value, ASHLAR_NONE where it is left out.
  std::uint32_t input_id(int i) const { return i < input_count() ? node_->inputs[i] : ASHLAR_NONE; }
  std::uint32_t output_id(int i) const { return i < output_count() ? node_->outputs[i] : ASHLAR_NONE; }

  const AshlarAttribute* attribute(std::string_view name) const {
    for (std::uint64_t i = 0; i < node_->attribute_count; ++i) {
      const auto* a =
          reinterpret_cast<const AshlarAttribute*>(reinterpret_cast<const char*>(node_->attributes) + i * graph_->attribute_stride);
      if (name == a->name) return a;
    }
    return nullptr;
  }
  bool has(std::string_view name) const { return attribute(name) != nullptr; }
  std::int64_t integer(std::string_view name, std::int64_t otherwise = 0) const {
    const auto* a = attribute(name);
    return a && a->type == ASHLAR_ATTR_INT ? a->i : otherwise;
  }
  float real(std::string_view name, float otherwise = 0) const {
    const auto* a = attribute(name);
    return a && a->type == ASHLAR_ATTR_FLOAT ? a->f : otherwise;
  }
  std::string text(std::string_view name, std::string otherwise = "") const {
    const auto* a = attribute(name);
    return a && a->type == ASHLAR_ATTR_STRING ? std::string(a->s.data, a->s.size) : otherwise;
  }
  std::vector<std::int64_t> integers(std::string_view name) const {
    const auto* a = attribute(name);
    return a && a->type == ASHLAR_ATTR_INTS ? std::vector<std::int64_t>(a->ints, a->ints + a->count) : std::vector<std::int64_t>();
  }
  std::vector<float> reals(std::string_view name) const {
    const auto* a = attribute(name);
    return a && a->type == ASHLAR_ATTR_FLOATS ? std::vector<float>(a->floats, a->floats + a->count) : std::vector<float>();
  }
  std::vector<std::string> texts(std::string_view name) const {
    std::vector<std::string> out;
    if (const auto* a = attribute(name); a && a->type == ASHLAR_ATTR_STRINGS)
      for (std::uint64_t i = 0; i < a->count; ++i) out.emplace_back(a->strings[i].data, a->strings[i].size);
    return out;
  }
  std::optional<TensorView> tensor(std::string_view name) const {
    const auto* a = attribute(name);
    if (!a || a->type != ASHLAR_ATTR_TENSOR) return std::nullopt;
    return TensorView(a->tensor, host_);
  }

 private:
  ValueView value(std::uint32_t id) const {
    return ValueView(
        reinterpret_cast<const AshlarValue*>(reinterpret_cast<const char*>(graph_->values) + std::size_t{id} * graph_->value_stride),
        host_);
  }
  const AshlarGraph* graph_;
  std::uint32_t index_;
  const AshlarHost* host_;
  const AshlarNode* node_;
};

/// A provider's answer for a node.
struct Verdict {
  AshlarVerdictCode code = ASHLAR_ACCEPTED;
  std::string reason = {};
  AshlarCost cost = {};                  ///< of an accepted node; what is 0 the core counts itself
  std::vector<AshlarGuard> guards = {};  ///< at most ASHLAR_MAX_GUARDS
  /// The same, while a dimension of an input is at most so much.
  Verdict&& within(int input, int axis, std::int64_t most) && {
    guards.push_back({static_cast<std::uint32_t>(input), static_cast<std::uint32_t>(axis), most});
    return std::move(*this);
  }
};
inline Verdict accept(AshlarCost cost = {}) { return {.cost = cost}; }
template <class... Args> Verdict refuse(AshlarVerdictCode code, const Args&... reason) {
  return {.code = code, .reason = concat(reason...)};
}

/// In a verdict function: refuses with the code and the sentence unless the condition holds.
#define ASHLAR_REQUIRE(condition, code, ...)                                \
  do {                                                                      \
    if (!(condition)) return ::ashlar::provider::refuse(code, __VA_ARGS__); \
  } while (0)

/// What a kernel keeps for one set of input shapes: arguments, a prepared primitive.
struct Binding {
  virtual ~Binding() = default;
};

/// A constant in a provider's own form (AshlarHost::packed): the same memory for the same constant and packing. `fill` writes `bytes`
/// bytes, aligned to 64, and may throw; it is not called where another session packed the constant before.
template <class Fill>
const void* packed(const AshlarHost* host, const TensorView& constant, const char* packing, std::uint64_t bytes, Fill fill,
                   std::uint32_t space = ASHLAR_SPACE_HOST) {
  const void* memory = nullptr;
  AshlarStatus status = new_status();
  const auto call = [](void* f, void* to, AshlarStatus* s) -> AshlarCode { return guarded(s, [&] { (*static_cast<Fill*>(f))(to); }); };
  if (const AshlarCode code = host->packed(host->core, space, &constant.abi(), packing, bytes, call, &fill, &memory, &status))
    throw Failure(code, status.message);
  return memory;
}

/// A kernel's view of its operands' shapes, while it binds.
class BindContext {
 public:
  BindContext(AshlarBindArgs* args, const AshlarHost* host) : args_(args), host_(host) {}
  int input_count() const { return static_cast<int>(args_->input_count); }
  int output_count() const { return static_cast<int>(args_->output_count); }
  bool has_input(int i) const { return i < input_count() && args_->inputs[i] != nullptr; }
  /// Dims and dtype; data where bind_reads() asked for it. Only for inputs that are there.
  TensorView input(int i) const { return TensorView(operand(args_->inputs, args_->input_count, i, "input"), host_); }
  DType output_dtype(int i) const { return static_cast<DType>(args_->outputs[i].dtype); }
  void set_output(int i, const Dims& dims) {
    if (i >= output_count()) return;
    for (const std::int64_t d : dims) check(d >= 0, "output ", i, " would have the shape ", dims);
    args_->outputs[i].rank = dims.rank();
    std::copy(dims.begin(), dims.end(), args_->outputs[i].dims);
  }
  /// The output has this layout of the provider's own, and needs `bytes` (0: as many as dense).
  void set_layout(int i, std::uint64_t layout, std::uint64_t bytes = 0) {
    if (i >= output_count()) return;
    args_->outputs[i].layout = layout;
    args_->outputs[i].bytes = bytes;
  }
  /// Output i has the elements of an input from a byte offset on, and may share its storage: run finds the two pointers equal, or copies.
  void set_view(int i, int input, std::uint64_t offset = 0) {
    if (i >= output_count()) return;
    args_->outputs[i].view_of = static_cast<std::uint32_t>(input) + 1;
    args_->outputs[i].view_offset = offset;
  }
  /// Input i may itself be stored in output 0 from a byte offset on: run finds it there, or copies.
  void set_input_offset(int i, std::uint64_t offset) { args_->input_offsets[i] = offset; }
  /// What RunContext::binding gives back for these shapes.
  void set_binding(std::unique_ptr<Binding> binding) {
    delete static_cast<Binding*>(args_->binding);
    args_->binding = binding.release();
  }
  /// The output's shape is known only when the kernel has run: run must call RunContext::set_output.
  void set_output_unknown(int i) {
    if (i < output_count()) args_->outputs[i].rank = -1;
  }
  /// Memory that run finds in RunContext::workspace, in the space the kernel works in.
  void set_workspace(std::uint64_t bytes) { args_->workspace_bytes = bytes; }

 private:
  AshlarBindArgs* args_;
  const AshlarHost* host_;
};

/// A kernel's operands, while it runs.
class RunContext {
 public:
  RunContext(const AshlarRunArgs* args, const AshlarHost* host) : args_(args), host_(host) {}
  int input_count() const { return static_cast<int>(args_->input_count); }
  int output_count() const { return static_cast<int>(args_->output_count); }
  bool has_input(int i) const { return i < input_count() && args_->inputs[i] != nullptr; }
  bool has_output(int i) const { return i < output_count() && args_->outputs[i] != nullptr; }
  TensorView input(int i) const { return TensorView(operand(args_->inputs, args_->input_count, i, "input"), host_); }
  TensorView output(int i) const { return TensorView(operand(args_->outputs, args_->output_count, i, "output"), host_); }
  /// Gives an output that bind left unknown its storage. Nothing for an output nobody wants.
  void set_output(int i, const Dims& dims) const {
    if (!has_output(i)) return;
    AshlarShape shape{};
    shape.rank = dims.rank();
    shape.dtype = args_->outputs[i]->dtype;
    std::copy(dims.begin(), dims.end(), shape.dims);
    AshlarStatus status = new_status();
    if (const AshlarCode code = args_->set_output(args_->core, static_cast<std::uint32_t>(i), &shape, &status))
      throw Failure(code, status.message);
  }
  void* workspace() const { return args_->workspace; }
  /// What bind set with set_binding.
  template <class B> B& binding() const { return *static_cast<B*>(static_cast<Binding*>(args_->binding)); }
  /// The handle Device::create_queue gave for the kernel's queue; null where it has none.
  void* queue() const { return args_->queue; }
  /// Threads that parallel_for uses at most.
  int threads() const { return host_->threads; }
  const AshlarHost* host() const { return host_; }
  /// body(begin, end) over disjoint ranges that cover [0, count), possibly on several threads; body must not throw.
  template <class Body> void parallel_for(std::int64_t count, std::int64_t grain, Body body) const {
    host_->parallel_for(
        host_->core, count, grain, [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<Body*>(b))(begin, end); }, &body);
  }

 private:
  const AshlarRunArgs* args_;
  const AshlarHost* host_;
};

/// One operator's implementation, made for one node. bind and run are const and may be called by several threads at once.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Bit i set: bind reads the data of input i.
  virtual std::uint64_t bind_reads() const { return 0; }
  /// Bit i set: run does not read the data of input i (a constant that was packed, a target shape). It may then lie at any address.
  virtual std::uint64_t shape_only() const { return 0; }
  /// Bit i set: run reads input i at any address, also one that its elements must not have (a large table in a file).
  virtual std::uint64_t unaligned() const { return 0; }
  /// Bit i set: output 0 may take the storage of input i when that is used no more.
  virtual std::uint64_t in_place() const { return 0; }
  /// Bit i set: run reads input i in host memory, though the kernel works on a queue.
  virtual std::uint64_t host_inputs() const { return 0; }
  /// Outputs that are an input with places appended, which run can leave where it is: AshlarGrowth.
  virtual std::vector<AshlarGrowth> growths() const { return {}; }
  /// Whether run may be recorded and replayed with the same operands (a kernel on a queue).
  virtual bool capturable() const { return true; }
  /// Whether it brings an operand of its node into another layout, and computes nothing of the node (ASHLAR_STEP_MOVES).
  virtual bool moves_only() const { return false; }
  /// Reports the output shapes for the input shapes.
  virtual void bind(BindContext& context) const = 0;
  /// Computes the outputs, or enqueues that on RunContext::queue. Allocates only what it cannot know in bind.
  virtual void run(const RunContext& context) const = 0;
};

/// A row of a provider's kernel table: an operator, the schema versions it covers, what it asks of a node, how it is made.
struct KernelEntry {
  const char* op;
  int since_min;
  int since_max;
  Verdict (*verdict)(const NodeView& node);
  std::unique_ptr<Kernel> (*create)(const NodeView& node);
  const char* domain = "";
};
inline constexpr int kLatest = 1 << 20;

/// For KernelEntry::create: K is constructed from the NodeView.
template <class K> std::unique_ptr<Kernel> make(const NodeView& node) { return std::make_unique<K>(node); }

}  // namespace ashlar::provider
