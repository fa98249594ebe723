// SPDX-License-Identifier: Apache-2.0
#include "onednn.h"

#include <cstdlib>

#include <oneapi/dnnl/dnnl_threadpool.hpp>
#include <oneapi/dnnl/dnnl_threadpool_iface.hpp>

namespace ashlar::cpu {

using dnnl::memory;

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::data_type onednn_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return memory::data_type::f32;
    case DType::kFloat16: return memory::data_type::f16;
    case DType::kBFloat16: return memory::data_type::bf16;
    case DType::kInt32: return memory::data_type::s32;
    case DType::kInt8: return memory::data_type::s8;
    case DType::kUint8: return memory::data_type::u8;
    default: return memory::data_type::undef;
  }
}

memory::dims onednn_dims(const provider::Dims& dims) {
  provider::check(dims.rank() <= DNNL_MAX_NDIMS, "the shape ", dims, " has more than ", DNNL_MAX_NDIMS, " dimensions");
  return {dims.begin(), dims.end()};
}

memory::desc onednn_desc(const provider::Dims& dims, DType dtype, std::uint64_t layout) {
  const memory::dims logical = onednn_dims(dims);
  memory::dims strides(logical.size());
  std::int64_t stride = 1;
  for (int i = dims.rank() - 1; i >= 0; --i) {
    int axis = i;
    if (layout == kChannelsLast && dims.rank() >= 3 && i > 0) axis = i == dims.rank() - 1 ? 1 : i + 1;
    strides[static_cast<std::size_t>(axis)] = stride;
    stride *= std::max<std::int64_t>(dims[axis], 1);
  }
  return {logical, onednn_type(dtype), strides};
}

struct OneDnn::Pool final : dnnl::threadpool_interop::threadpool_iface {
  explicit Pool(const AshlarHost* h) : host(h) {}
  int get_num_threads() const override { return host->threads; }
  bool get_in_parallel() const override { return false; }
  std::uint64_t get_flags() const override { return 0; }
  void parallel_for(int n, const std::function<void(int, int)>& task) override {
    struct Call {
      const std::function<void(int, int)>& task;
      int n;
    } call{task, n};
    host->parallel_for(
        host->core, n, 1,
        [](void* context, std::int64_t begin, std::int64_t end) {
          const Call& c = *static_cast<Call*>(context);
          for (std::int64_t i = begin; i < end; ++i) c.task(static_cast<int>(i), c.n);
        },
        &call);
  }
  const AshlarHost* host;
};

OneDnn::OneDnn(const AshlarHost* host)
    : pool_(std::make_unique<Pool>(host)), stream_(dnnl::threadpool_interop::make_stream(onednn_engine(), pool_.get())) {}
OneDnn::~OneDnn() = default;

void OneDnn::set_planned_threads() const { dnnl_threadpool_interop_set_max_concurrency(pool_->host->threads); }

void OneDnn::execute(const dnnl::primitive& primitive, const std::vector<dnnl_exec_arg_t>& arguments) const {
  const dnnl_status_t status = dnnl_primitive_execute(primitive.get(), stream_.get(), static_cast<int>(arguments.size()), arguments.data());
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  if (status != dnnl_success)
    throw provider::Failure(ASHLAR_RUNTIME, provider::concat("oneDNN could not run a primitive (status ", status, ")"));
}

void OneDnn::reorder(const memory::desc& from, const void* source, const memory::desc& to, void* target) const {
  const memory a(from, onednn_engine(), const_cast<void*>(source)), b(to, onednn_engine(), target);
  const dnnl::reorder primitive = plan("reorder", [&] { return dnnl::reorder(a, b); });
  execute(primitive, {{DNNL_ARG_FROM, a.get()}, {DNNL_ARG_TO, b.get()}});
}

namespace {
/// Names a format: two descs of equal text are equal.
std::string text_of(const memory::desc& desc) {
  std::ostringstream out;
  out << static_cast<int>(desc.get_data_type());
  for (const auto& part : {desc.get_dims(), desc.get_padded_dims(), desc.get_strides(), desc.get_inner_blks(), desc.get_inner_idxs()}) {
    out << ';';
    for (const auto v : part) out << v << ',';
  }
  return out.str();
}
}  // namespace

const void* onednn_packed(const AshlarHost* host, const OneDnn& onednn, const provider::TensorView& constant, const memory::desc& plain,
                          const memory::desc& packed) {
  const std::string key = "onednn " + text_of(plain) + " to " + text_of(packed);
  return provider::packed(host, constant, key.c_str(), packed.get_size(), [&](void* to) {
    if (reinterpret_cast<std::uintptr_t>(constant.raw()) % alignof(float) == 0) return onednn.reorder(plain, constant.raw(), packed, to);
    const std::unique_ptr<void, decltype(&std::free)> copy(std::aligned_alloc(64, (constant.bytes() + 63) / 64 * 64), &std::free);
    if (!copy) throw std::bad_alloc();
    std::memcpy(copy.get(), constant.raw(), constant.bytes());
    onednn.reorder(plain, copy.get(), packed, to);
  });
}

OneDnnCall::OneDnnCall(dnnl::primitive primitive, const memory::desc& scratchpad)
    : primitive_(std::move(primitive)), workspace_bytes_(scratchpad.get_size()) {
  add(DNNL_ARG_SCRATCHPAD, scratchpad);
}

void OneDnnCall::add(int argument, const memory::desc& desc) {
  memories_.emplace_back(desc, onednn_engine(), nullptr);
  arguments_.push_back({argument, memories_.back().get()});
}

void OneDnnCall::run(const OneDnn& onednn, std::initializer_list<const void*> pointers, void* workspace) {
  run(onednn, std::span(pointers.begin(), pointers.size()), workspace);
}

void OneDnnCall::run(const OneDnn& onednn, std::span<const void* const> pointers, void* workspace) {
  provider::check(pointers.size() + 1 == memories_.size(), "a primitive of ", memories_.size() - 1, " arguments got ", pointers.size());
  dnnl_memory_set_data_handle(memories_[0].get(), workspace);
  for (std::size_t i = 0; i < pointers.size(); ++i) dnnl_memory_set_data_handle(memories_[i + 1].get(), const_cast<void*>(pointers[i]));
  onednn.execute(primitive_, arguments_);
}

dnnl::primitive_attr onednn_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);
  return attributes;
}

dnnl::post_ops onednn_post_ops(const std::vector<PostOp>& ops, const std::vector<memory::desc>& operand_descs) {
  using dnnl::algorithm;
  using Kind = PostOp::Kind;
  dnnl::post_ops out;
  std::size_t operand = 0;
  for (const PostOp& op : ops) {
    switch (op.kind) {
      case Kind::kAdd: out.append_binary(algorithm::binary_add, operand_descs.at(operand++)); break;
      case Kind::kMultiply: out.append_binary(algorithm::binary_mul, operand_descs.at(operand++)); break;
      case Kind::kRelu: out.append_eltwise(algorithm::eltwise_relu, 0, 0); break;
      case Kind::kLeakyRelu: out.append_eltwise(algorithm::eltwise_relu, op.alpha, 0); break;
      case Kind::kClip: out.append_eltwise(algorithm::eltwise_clip, op.alpha, op.beta); break;
      case Kind::kSigmoid: out.append_eltwise(algorithm::eltwise_logistic, 0, 0); break;
      case Kind::kSwish: out.append_eltwise(algorithm::eltwise_swish, op.alpha, 0); break;
      case Kind::kMish: out.append_eltwise(algorithm::eltwise_mish, 0, 0); break;
      case Kind::kHardSigmoid: out.append_eltwise(algorithm::eltwise_hardsigmoid, op.alpha, op.beta); break;
      case Kind::kHardSwish: out.append_eltwise(algorithm::eltwise_hardswish, 1.f / 6, 0.5f); break;
      case Kind::kTanh: out.append_eltwise(algorithm::eltwise_tanh, 0, 0); break;
      case Kind::kGelu: out.append_eltwise(algorithm::eltwise_gelu_erf, 0, 0); break;
      case Kind::kGeluTanh: out.append_eltwise(algorithm::eltwise_gelu_tanh, 0, 0); break;
      case Kind::kElu: out.append_eltwise(algorithm::eltwise_elu, op.alpha, 0); break;
    }
  }
  return out;
}

}  // namespace ashlar::cpu
