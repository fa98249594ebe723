// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml LabelEncoder and CategoryMapper: one map from keys to values. A key is held as a string: the text, or the eight
// bytes of the number, all NaN being one.
#include <cstring>
#include <unordered_map>

#include "ml.h"

namespace ashlar::reference {
namespace {

using namespace provider;

using KeyTypes = Types<float, double, std::int64_t, std::int32_t, std::int16_t>;

template <class N> std::string number_key(N number) {
  if (number != number) return "NaN";
  number += 0;
  std::string key(sizeof(N), '\0');
  std::memcpy(key.data(), &number, sizeof(N));
  return key;
}

std::vector<std::string> keys_of(const TensorView& view) {
  std::vector<std::string> keys;
  if (view.dtype() == DType::kString) {
    for (std::int64_t i = 0; i < view.count(); ++i) keys.emplace_back(view.string(i));
    return keys;
  }
  dispatch<KeyTypes>(view.dtype(), [&]<class T>() {
    using Wide = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
    for (const T value : view.values<T>()) keys.push_back(number_key(static_cast<Wide>(value)));
  });
  return keys;
}

/// The values of the map: the elements of a tensor, or one of three lists.
struct Values {
  std::optional<TensorView> tensor, tensor_default;
  std::vector<std::string> strings;
  std::vector<std::int64_t> integers;
  std::vector<float> floats;
  std::string string_default;
  std::int64_t integer_default = -1;
  float float_default = -0.0f;

  std::size_t size() const { return tensor ? static_cast<std::size_t>(tensor->count()) : strings.size() + integers.size() + floats.size(); }

  /// out[i] = the value at `at`, the default where that is -1.
  void write(const TensorView& out, std::int64_t i, std::int64_t at) const {
    if (tensor && at >= 0) return ElementCopier(out, *tensor).copy(i, at);
    if (tensor_default && at < 0) return ElementCopier(out, *tensor_default).copy(i, 0);
    const auto place = static_cast<std::size_t>(at);
    if (out.dtype() == DType::kString) return out.set_string(i, at < 0 ? string_default : strings.at(place));
    dispatch<KeyTypes>(out.dtype(), [&]<class T>() {
      T& to = out.mutable_data<T>()[i];
      if constexpr (std::is_integral_v<T>) {
        to = static_cast<T>(at < 0 ? integer_default : integers.at(place));
      } else {
        to = at < 0 ? float_default : floats.at(place);
      }
    });
  }
};

class Lookup : public Kernel {
 public:
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    const std::vector<std::string> keys = keys_of(context.input(0));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto found = places_.find(keys[i]);
      values_.write(context.output(0), static_cast<std::int64_t>(i), found == places_.end() ? -1 : found->second);
    }
  }

 protected:
  void set(const std::vector<std::string>& keys, Values values) {
    check(keys.size() == values.size(), keys.size(), " keys for ", values.size(), " values");
    for (std::size_t i = 0; i < keys.size(); ++i) places_[keys[i]] = static_cast<std::int64_t>(i);
    values_ = std::move(values);
  }

 private:
  std::unordered_map<std::string, std::int64_t> places_;
  Values values_;
};

Verdict encoder_verdict(const NodeView& node) {
  const DType in = node.input(0).dtype(), out = node.output(0).dtype();
  for (const DType dtype : {in, out})
    ASHLAR_REQUIRE(dtype == DType::kString || contains<KeyTypes>(dtype), ASHLAR_NO_KERNEL_DTYPE, "LabelEncoder of ", dtype_name(dtype),
                   " has no kernel");
  const bool values_fit = node.has("values_tensor")    ? node.tensor("values_tensor")->dtype() == out
                          : node.has("values_strings") ? out == DType::kString
                          : node.has("values_int64s")  ? out == DType::kInt64
                                                       : node.has("values_floats") && out == DType::kFloat32;
  const bool keys_fit = node.has("keys_tensor")    ? node.tensor("keys_tensor")->dtype() == in
                        : node.has("keys_strings") ? in == DType::kString
                        : node.has("keys_int64s")  ? in == DType::kInt64
                                                   : node.has("keys_floats") && in == DType::kFloat32;
  ASHLAR_REQUIRE(keys_fit && values_fit, ASHLAR_ATTRIBUTE, "LabelEncoder from ", dtype_name(in), " to ", dtype_name(out),
                 " has keys or values of another type");
  const auto otherwise = node.tensor("default_tensor");
  ASHLAR_REQUIRE(!otherwise || !node.has("values_tensor") || (otherwise->dtype() == out && otherwise->count() == 1), ASHLAR_ATTRIBUTE,
                 "default_tensor is not one element of ", dtype_name(out));
  return accept();
}

class LabelEncoder final : public Lookup {
 public:
  explicit LabelEncoder(const NodeView& node) {
    std::vector<std::string> keys = node.texts("keys_strings");
    for (const std::int64_t key : node.integers("keys_int64s")) keys.push_back(number_key(key));
    for (const float key : node.reals("keys_floats")) keys.push_back(number_key(static_cast<double>(key)));
    if (const auto tensor = node.tensor("keys_tensor")) keys = keys_of(*tensor);
    Values values{node.tensor("values_tensor"),      std::nullopt,
                  node.texts("values_strings"),      node.integers("values_int64s"),
                  node.reals("values_floats"),       node.text("default_string", "_Unused"),
                  node.integer("default_int64", -1), node.real("default_float", -0.0f)};
    if (values.tensor) values.tensor_default = node.tensor("default_tensor");
    set(keys, std::move(values));
  }
};

Verdict mapper_verdict(const NodeView& node) {
  const DType in = node.input(0).dtype(), out = node.output(0).dtype();
  ASHLAR_REQUIRE((in == DType::kString && out == DType::kInt64) || (in == DType::kInt64 && out == DType::kString), ASHLAR_NO_KERNEL_DTYPE,
                 "CategoryMapper from ", dtype_name(in), " to ", dtype_name(out), " has no kernel");
  return accept();
}

class CategoryMapper final : public Lookup {
 public:
  explicit CategoryMapper(const NodeView& node) {
    std::vector<std::string> strings = node.texts("cats_strings");
    const std::vector<std::int64_t> integers = node.integers("cats_int64s");
    Values values;
    values.string_default = node.text("default_string", "_Unused");
    values.integer_default = node.integer("default_int64", -1);
    if (node.input(0).dtype() == DType::kString) {
      values.integers = integers;
      set(strings, std::move(values));
      return;
    }
    values.strings = strings;
    std::vector<std::string> keys;
    for (const std::int64_t key : integers) keys.push_back(number_key(key));
    set(keys, std::move(values));
  }
};

constexpr KernelEntry kTable[] = {
    {"LabelEncoder", 2, kLatest, &encoder_verdict, &make<LabelEncoder>, "ai.onnx.ml"},
    {"CategoryMapper", 1, kLatest, &mapper_verdict, &make<CategoryMapper>, "ai.onnx.ml"},
};

}  // namespace

std::span<const provider::KernelEntry> ml_label_encoder_kernels() { return kTable; }

}  // namespace ashlar::reference
