// SPDX-License-Identifier: Apache-2.0
// Einsum. Operands are folded in from left to right: an index is summed as soon as no operand to come and not the output has it.
#include <set>
#include <string>

#include "product.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;

/// An index is its letter, or kEllipsis + i for the i-th dimension that "..." stands for.
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kEllipsis = 256;

struct Equation {
  std::vector<std::string> inputs;  // "..." is written '.'
  std::string output;
  bool has_output = false;
};

/// Nothing but letters, at most one '.', commas and the arrow; a sentence that says what is wrong otherwise.
std::string parse(std::string_view text, Equation& equation) {
  std::string term;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') continue;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      term += c;
    } else if (text.substr(i, 3) == "..." && term.find('.') == std::string::npos) {
      term += '.';
      i += 2;
    } else if (c == ',' && !equation.has_output) {
      equation.inputs.push_back(term);
      term.clear();
    } else if (text.substr(i, 2) == "->" && !equation.has_output) {
      equation.inputs.push_back(term);
      term.clear();
      equation.has_output = true;
      ++i;
    } else {
      return provider::concat("'", c, "' at position ", i, " of the equation ", text);
    }
  }
  if (equation.has_output) {
    equation.output = term;
    for (std::size_t i = 0; i < term.size(); ++i)
      if (term.find(term[i], i + 1) != std::string::npos) return provider::concat("'", term[i], "' twice in the output of ", text);
    for (const char c : term) {
      const bool known =
          std::any_of(equation.inputs.begin(), equation.inputs.end(), [c](const std::string& s) { return s.find(c) != std::string::npos; });
      if (!known && c != '.') return provider::concat("'", c, "' of the output is in no operand of ", text);
    }
  } else {
    equation.inputs.push_back(term);
  }
  return "";
}

/// The labels of every operand and of the output, for operands of the given ranks, and how long each index is.
struct Layout {
  std::vector<Labels> inputs;
  Labels output;
  std::vector<std::int64_t> length = std::vector<std::int64_t>(kEllipsis + ASHLAR_MAX_RANK, 1);

  Layout(const Equation& equation, const std::vector<Dims>& operands) {
    int wild = 0;
    for (std::size_t i = 0; i < operands.size(); ++i) wild = std::max(wild, wild_rank(equation.inputs[i], operands[i]));
    for (std::size_t i = 0; i < operands.size(); ++i) {
      inputs.push_back(expand(equation.inputs[i], wild_rank(equation.inputs[i], operands[i]), wild));
      for (std::size_t d = 0; d < inputs[i].size(); ++d) {
        std::int64_t& known = length[static_cast<std::size_t>(inputs[i][d])];
        const std::int64_t n = operands[i][static_cast<std::int64_t>(d)];
        check(known == 1 || n == 1 || known == n, "an index of Einsum is ", known, " and ", n, " long");
        if (known == 1) known = n;
      }
    }
    output = equation.has_output ? expand(equation.output, wild, wild) : implicit(wild);
  }

  Dims output_dims() const {
    Dims dims;
    for (const Label l : output) dims.push_back(length[static_cast<std::size_t>(l)]);
    return dims;
  }

 private:
  static int wild_rank(const std::string& term, const Dims& dims) {
    const bool wild = term.find('.') != std::string::npos;
    const int letters = static_cast<int>(term.size()) - (wild ? 1 : 0);
    check(wild ? dims.rank() >= letters : dims.rank() == letters, "the term '", term, "' for an operand of shape ", dims);
    return dims.rank() - letters;
  }
  static Labels expand(const std::string& term, int own, int wild) {
    Labels labels;
    for (const char c : term) {
      if (c != '.') labels.push_back(c);
      else
        for (int i = wild - own; i < wild; ++i) labels.push_back(kEllipsis + i);
    }
    return labels;
  }
  /// The dimensions of "...", then the letters that appear once, in ASCII order.
  Labels implicit(int wild) const {
    Labels labels;
    for (int i = 0; i < wild; ++i) labels.push_back(kEllipsis + i);
    for (Label l = 0; l < kEllipsis; ++l) {
      std::int64_t uses = 0;
      for (const Labels& term : inputs) uses += std::count(term.begin(), term.end(), l);
      if (uses == 1) labels.push_back(l);
    }
    return labels;
  }
};

/// A dense tensor whose dimensions are labelled.
template <class S> struct Operand {
  Labels labels;
  std::vector<std::int64_t> dims;
  std::vector<S> data;

  /// The step of index `label`: repeated indices walk the diagonal, indices of length 1 stand still.
  std::int64_t stride(Label label) const {
    std::int64_t step = 1, sum = 0;
    for (std::size_t d = dims.size(); d-- > 0; step *= dims[d])
      if (labels[d] == label && dims[d] != 1) sum += step;
    return sum;
  }
  std::int64_t length(Label label) const {
    std::int64_t n = 1;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (labels[d] != label) continue;
      check(n == 1 || dims[d] == 1 || n == dims[d], "a repeated index of Einsum is ", n, " and ", dims[d], " long");
      if (dims[d] != 1) n = dims[d];
    }
    return n;
  }
};

/// The product of two operands with the indices `kept`, in that order; all others are summed.
template <class S> Operand<S> contract(const Operand<S>& a, const Operand<S>& b, const Labels& kept) {
  struct Loop {
    std::int64_t length, a_step, b_step;
  };
  std::vector<Loop> loops;
  Operand<S> out;
  const auto add = [&](Label l) {
    const std::int64_t x = a.length(l), y = b.length(l);
    loops.push_back({x == 1 ? y : x, a.stride(l), b.stride(l)});
  };
  double size = 1;
  for (const Label l : kept) {
    add(l);
    out.labels.push_back(l);
    out.dims.push_back(loops.back().length);
    size *= static_cast<double>(loops.back().length);
  }
  check(size < 0x1p44, "an intermediate result of Einsum would have ", size, " elements");
  std::set<Label> done(kept.begin(), kept.end());
  for (const Labels* labels : {&a.labels, &b.labels})
    for (const Label l : *labels)
      if (done.insert(l).second) add(l);
  out.data.assign(static_cast<std::size_t>(size), S{0});
  for (const Loop& loop : loops)
    if (loop.length == 0) return out;

  const std::size_t outer = kept.size();
  if (loops.size() == outer) loops.push_back({1, 0, 0});
  const Loop inner = loops.back();
  std::vector<std::int64_t> index(loops.size() - 1, 0);
  std::int64_t at_a = 0, at_b = 0;
  std::size_t at = 0;
  for (;;) {
    const S* x = a.data.data() + at_a;
    const S* y = b.data.data() + at_b;
    S sum = 0;
    for (std::int64_t i = 0; i < inner.length; ++i) sum += x[i * inner.a_step] * y[i * inner.b_step];
    out.data[at] += sum;
    std::size_t d = index.size();
    while (d-- > 0) {
      at_a += loops[d].a_step;
      at_b += loops[d].b_step;
      if (++index[d] < loops[d].length) break;
      at_a -= loops[d].a_step * loops[d].length;
      at_b -= loops[d].b_step * loops[d].length;
      index[d] = 0;
    }
    if (d == static_cast<std::size_t>(-1)) return out;
    if (d < outer) ++at;
  }
}

using EinsumTypes = NumericTypes;

class Einsum : public Kernel {
 public:
  explicit Einsum(const NodeView& node) { parse(node.text("equation"), equation_); }

  static provider::Verdict verdict(const NodeView& node) {
    Equation equation;
    const std::string problem = parse(node.text("equation"), equation);
    ASHLAR_REQUIRE(problem.empty(), ASHLAR_ATTRIBUTE, problem);
    ASHLAR_REQUIRE(static_cast<int>(equation.inputs.size()) == node.input_count(), ASHLAR_ATTRIBUTE, "the equation has ",
                   equation.inputs.size(), " operands, the node ", node.input_count());
    for (int i = 0; i < node.input_count(); ++i)
      ASHLAR_REQUIRE(node.has_input(i) && node.input(i).dtype() == node.input(0).dtype(), ASHLAR_NO_KERNEL_DTYPE,
                     "the operands of Einsum differ in type");
    return takes<EinsumTypes>(node);
  }

  void bind(BindContext& context) const override { context.set_output(0, layout(context).output_dims()); }

  void run(const RunContext& context) const override {
    dispatch<EinsumTypes>(context.input(0).dtype(), [&]<class T>() { compute<T>(context); });
  }

 private:
  template <class Context> Layout layout(const Context& context) const {
    std::vector<Dims> dims;
    for (int i = 0; i < context.input_count(); ++i) dims.push_back(context.input(i).dims());
    return Layout(equation_, dims);
  }

  template <class T> void compute(const RunContext& context) const {
    using S = Sum<T>;
    const Layout plan = layout(context);
    const std::size_t count = plan.inputs.size();
    const Operand<S> one{{}, {}, {S{1}}};
    Operand<S> result = one;
    for (std::size_t i = 0; i < count; ++i) {
      const auto view = context.input(static_cast<int>(i));
      const Dims dims = view.dims();
      Operand<S> operand{plan.inputs[i], {dims.begin(), dims.end()}, {}};
      const T* x = view.data<T>();
      for (std::int64_t k = 0; k < view.count(); ++k) operand.data.push_back(static_cast<S>(x[k]));

      const bool last = i + 1 == count;
      std::set<Label> later(plan.output.begin(), plan.output.end());
      for (std::size_t k = i + 1; k < count; ++k) later.insert(plan.inputs[k].begin(), plan.inputs[k].end());
      std::set<Label> alone = later;
      alone.insert(result.labels.begin(), result.labels.end());
      operand = contract(operand, one, common(operand.labels, alone));
      Labels both = result.labels;
      both.insert(both.end(), operand.labels.begin(), operand.labels.end());
      result = contract(result, operand, last ? plan.output : common(both, later));
    }
    T* y = context.output(0).mutable_data<T>();
    for (std::size_t k = 0; k < result.data.size(); ++k) y[k] = narrow<T>(result.data[k]);
  }

  /// The labels that are in `wanted`, once each.
  static Labels common(const Labels& labels, const std::set<Label>& wanted) {
    Labels out;
    for (const Label l : labels)
      if (wanted.count(l) && std::find(out.begin(), out.end(), l) == out.end()) out.push_back(l);
    return out;
  }

  Equation equation_;
};

constexpr KernelEntry kKernels[] = {{"Einsum", 12, provider::kLatest, &Einsum::verdict, &provider::make<Einsum>}};

}  // namespace

std::span<const KernelEntry> einsum_kernels() { return kKernels; }

}  // namespace ashlar::reference
