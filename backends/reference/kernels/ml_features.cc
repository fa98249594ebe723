// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml operators that prepare features: ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer,
// OneHotEncoder, Scaler.
#include <type_traits>

#include "ml.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class ArrayFeatureExtractor final : public Kernel {
 public:
  explicit ArrayFeatureExtractor(const NodeView&) {}
  void bind(BindContext& context) const override {
    Dims out = context.input(0).dims();
    check(out.rank() > 0, "the input is a scalar");
    out[out.rank() - 1] = context.input(1).count();
    if (out.rank() == 1) out.insert(0, 1);
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView from = context.input(0);
    const std::int64_t size = from.dim(from.rank() - 1);
    std::vector<std::int64_t> indices = context.input(1).indices();
    for (std::int64_t& index : indices) index = checked_index(index, size);
    const ElementCopier copier(context.output(0), from);
    std::int64_t at = 0;
    for (std::int64_t row = 0; row < from.dims().product(0, from.rank() - 1); ++row)
      for (const std::int64_t index : indices) copier.copy(at++, row * size + index);
  }
};

class Binarizer final : public Kernel {
 public:
  explicit Binarizer(const NodeView& node) : threshold_(node.real("threshold", 0)) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    dispatch<MlTypes>(in.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < in.count(); ++i)
        context.output(0).mutable_data<T>()[i] = static_cast<double>(in.data<T>()[i]) > static_cast<double>(threshold_) ? T(1) : T(0);
    });
  }

 private:
  float threshold_;
};

class Imputer final : public Kernel {
 public:
  explicit Imputer(const NodeView& node)
      : floats_(node.reals("imputed_value_floats")), integers_(node.integers("imputed_value_int64s")),
        missing_float_(node.real("replaced_value_float")), missing_integer_(node.integer("replaced_value_int64")) {}
  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    const bool is_float = context.input(0).dtype() == DType::kFloat32 || context.input(0).dtype() == DType::kFloat64;
    const auto n = static_cast<std::int64_t>(is_float ? floats_.size() : integers_.size());
    check(in.rank() > 0 && (n == 1 || n == in[in.rank() - 1]), n, " imputed values for the shape ", in);
    context.set_output(0, in);
  }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    dispatch<MlTypes>(in.dtype(), [&]<class T>() {
      if constexpr (std::is_integral_v<T>) {
        impute<T>(context, integers_, missing_integer_);
      } else {
        impute<T>(context, floats_, missing_float_);
      }
    });
  }

 private:
  template <class T, class V> static void impute(const RunContext& context, const std::vector<V>& values, V missing) {
    const TensorView in = context.input(0);
    const std::int64_t columns = in.dim(in.rank() - 1);
    for (std::int64_t i = 0; i < in.count(); ++i) {
      const T x = in.data<T>()[i];
      const bool replace = x == static_cast<T>(missing) || (x != x && missing != missing);
      context.output(0).mutable_data<T>()[i] =
          replace ? static_cast<T>(values[static_cast<std::size_t>(values.size() == 1 ? 0 : i % columns)]) : x;
    }
  }
  std::vector<float> floats_;
  std::vector<std::int64_t> integers_;
  float missing_float_;
  std::int64_t missing_integer_;
};

class Scaler final : public Kernel {
 public:
  explicit Scaler(const NodeView& node) : offset_(node.reals("offset")), scale_(node.reals("scale")) {}
  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    for (const auto* values : {&offset_, &scale_})
      check(values->size() == 1 || (in.rank() > 0 && static_cast<std::int64_t>(values->size()) == in[in.rank() - 1]), values->size(),
            " offsets or scales for the shape ", in);
    context.set_output(0, in);
  }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    const auto at = [](const std::vector<float>& values, std::int64_t i) { return values[static_cast<std::size_t>(i) % values.size()]; };
    dispatch<MlTypes>(in.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < in.count(); ++i)
        context.output(0).mutable_data<float>()[i] =
            static_cast<float>((static_cast<double>(in.data<T>()[i]) - at(offset_, i)) * at(scale_, i));
    });
  }

 private:
  std::vector<float> offset_, scale_;
};

Verdict normalizer_verdict(const NodeView& node) {
  const std::string norm = node.text("norm", "MAX");
  ASHLAR_REQUIRE(norm == "MAX" || norm == "L1" || norm == "L2", ASHLAR_ATTRIBUTE, "Normalizer has no norm ", norm);
  return features_verdict(node);
}

class Normalizer final : public Kernel {
 public:
  explicit Normalizer(const NodeView& node) : norm_(node.text("norm", "MAX")) {}
  void bind(BindContext& context) const override {
    Matrix::rows_of(context.input(0));
    context.set_output(0, context.input(0).dims());
  }
  void run(const RunContext& context) const override {
    const Matrix in(context.input(0));
    float* to = context.output(0).mutable_data<float>();
    for (std::int64_t r = 0; r < in.rows; ++r) {
      double divisor = norm_ == "MAX" ? -std::numeric_limits<double>::infinity() : 0;
      for (std::int64_t c = 0; c < in.columns; ++c) {
        const double x = in.row(r)[c];
        divisor = norm_ == "MAX" ? std::max(divisor, x) : divisor + (norm_ == "L1" ? std::abs(x) : x * x);
      }
      if (norm_ == "L2") divisor = std::sqrt(divisor);
      for (std::int64_t c = 0; c < in.columns; ++c) *to++ = static_cast<float>(divisor == 0 ? in.row(r)[c] : in.row(r)[c] / divisor);
    }
  }

 private:
  std::string norm_;
};

Verdict vectorizer_verdict(const NodeView& node) {
  for (int i = 0; i < node.input_count(); ++i)
    ASHLAR_REQUIRE(contains<MlTypes>(node.input(i).dtype()), ASHLAR_NO_KERNEL_DTYPE, "FeatureVectorizer of ",
                   dtype_name(node.input(i).dtype()), " has no kernel");
  return accept();
}

/// Each input takes as many columns as inputdimensions says: cut off, or filled up with zeros.
class FeatureVectorizer final : public Kernel {
 public:
  explicit FeatureVectorizer(const NodeView& node) : widths_(node.integers("inputdimensions")) {}
  void bind(BindContext& context) const override {
    const std::int64_t rows = Matrix::rows_of(context.input(0));
    std::int64_t width = 0;
    for (int i = 0; i < context.input_count(); ++i) {
      check(Matrix::rows_of(context.input(i)) == rows, "input ", i, " has ", Matrix::rows_of(context.input(i)), " rows, input 0 ", rows);
      check(!__builtin_add_overflow(width, width_of(context.input(i), i), &width) && width_of(context.input(i), i) >= 0,
            "inputdimensions is not possible");
    }
    const Dims out{rows, width};
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView out = context.output(0);
    clear_elements(out, 0, out.count());
    std::int64_t at = 0;
    for (int i = 0; i < context.input_count(); ++i) {
      const Matrix in(context.input(i));
      const std::int64_t width = width_of(context.input(i), i);
      for (std::int64_t r = 0; r < in.rows; ++r)
        for (std::int64_t c = 0; c < std::min(width, in.columns); ++c)
          out.mutable_data<float>()[r * out.dim(1) + at + c] = static_cast<float>(in.row(r)[c]);
      at += width;
    }
  }

 private:
  std::int64_t width_of(const TensorView& in, int i) const {
    const auto at = static_cast<std::size_t>(i);
    return at < widths_.size() ? widths_[at] : in.dim(in.rank() - 1);
  }
  std::vector<std::int64_t> widths_;
};

Verdict one_hot_verdict(const NodeView& node) {
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kString ? node.has("cats_strings") : node.has("cats_int64s"), ASHLAR_ATTRIBUTE, "OneHotEncoder of ",
                 dtype_name(dtype), " needs categories of that type");
  return dtype == DType::kString ? accept() : features_verdict(node);
}

class OneHotEncoder final : public Kernel {
 public:
  explicit OneHotEncoder(const NodeView& node)
      : integers_(node.integers("cats_int64s")), strings_(node.texts("cats_strings")), zeros_(node.integer("zeros", 1) != 0) {}
  void bind(BindContext& context) const override {
    Dims out = context.input(0).dims();
    out.push_back(static_cast<std::int64_t>(context.input(0).dtype() == DType::kString ? strings_.size() : integers_.size()));
    checked_count(out);
    context.set_output(0, out);
  }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0), out = context.output(0);
    clear_elements(out, 0, out.count());
    const std::int64_t width = out.dim(out.rank() - 1);
    const auto mark = [&](std::int64_t i, std::int64_t category) {
      check(category < width || zeros_, "element ", i, " is of no category");
      if (category < width) out.mutable_data<float>()[i * width + category] = 1;
    };
    if (in.dtype() == DType::kString) {
      for (std::int64_t i = 0; i < in.count(); ++i) mark(i, std::find(strings_.begin(), strings_.end(), in.string(i)) - strings_.begin());
      return;
    }
    dispatch<MlTypes>(in.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < in.count(); ++i) {
        const T x = in.data<T>()[i];
        if (std::is_integral_v<T> || (x > T(-0x1p62) && x < T(0x1p62))) {
          mark(i, std::find(integers_.begin(), integers_.end(), static_cast<std::int64_t>(x)) - integers_.begin());
        } else {
          mark(i, width);
        }
      }
    });
  }

 private:
  std::vector<std::int64_t> integers_;
  std::vector<std::string> strings_;
  bool zeros_;
};

constexpr const char* kMl = "ai.onnx.ml";
constexpr KernelEntry kTable[] = {
    {"ArrayFeatureExtractor", 1, kLatest, nullptr, &make<ArrayFeatureExtractor>, kMl},
    {"Binarizer", 1, kLatest, &features_verdict, &make<Binarizer>, kMl},
    {"FeatureVectorizer", 1, kLatest, &vectorizer_verdict, &make<FeatureVectorizer>, kMl},
    {"Imputer", 1, kLatest, &features_verdict, &make<Imputer>, kMl},
    {"Normalizer", 1, kLatest, &normalizer_verdict, &make<Normalizer>, kMl},
    {"OneHotEncoder", 1, kLatest, &one_hot_verdict, &make<OneHotEncoder>, kMl},
    {"Scaler", 1, kLatest, &features_verdict, &make<Scaler>, kMl},
};

}  // namespace

std::span<const provider::KernelEntry> ml_features_kernels() { return kTable; }

}  // namespace ashlar::reference
