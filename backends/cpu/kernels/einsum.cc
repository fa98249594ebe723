// SPDX-License-Identifier: Apache-2.0
// Einsum. Operands are folded in from left to right, each time as one batched matrix product: indices of both operands that stay are the
// batch, those of one are its rows or columns, and those that no later operand has are summed. An operand is read as it lies where its
// rows, columns and depth are each one step apart; else it is laid out anew.
#include <algorithm>
#include <string>

#include "plain_product.h"

namespace ashlar::cpu {
namespace {

using provider::BindContext;
using provider::check;
using provider::NodeView;
using provider::RunContext;

/// An index is its letter, or kEllipsis + i for the i-th dimension that "..." stands for.
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kEllipsis = 256;

bool has(const Labels& labels, Label label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

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
      equation.inputs.push_back(std::exchange(term, ""));
    } else if (text.substr(i, 2) == "->" && !equation.has_output) {
      equation.inputs.push_back(std::exchange(term, ""));
      equation.has_output = true;
      ++i;
    } else {
      return provider::concat("'", c, "' at position ", i, " of the equation ", text);
    }
  }
  if (!equation.has_output) {
    equation.inputs.push_back(term);
    return "";
  }
  equation.output = term;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (term.find(term[i], i + 1) != std::string::npos) return provider::concat("'", term[i], "' twice in the output of ", text);
    const bool known = std::any_of(equation.inputs.begin(), equation.inputs.end(),
                                   [&](const std::string& s) { return s.find(term[i]) != std::string::npos; });
    if (!known && term[i] != '.') return provider::concat("'", term[i], "' of the output is in no operand of ", text);
  }
  return "";
}

/// The labels of every operand and of the output, for operands of the given shapes, and how long each index is.
struct Indices {
  std::vector<Labels> inputs;
  Labels output;
  std::vector<std::int64_t> length = std::vector<std::int64_t>(kEllipsis + ASHLAR_MAX_RANK, 1);

  Indices(const Equation& equation, const std::vector<Dims>& operands) {
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
  std::int64_t of(Label label) const { return length[static_cast<std::size_t>(label)]; }

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

struct Loop {
  std::int64_t length, step;
};

/// Elements of an input, or of a buffer in the workspace, by labels that are all longer than 1.
struct View {
  int input = -1;
  std::uint64_t offset = 0;  ///< of the buffer, in bytes
  Labels labels;
  std::vector<Loop> loops;  ///< one a label

  Loop of(Label label) const {
    const auto at = static_cast<std::size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
    return at < loops.size() ? loops[at] : Loop{1, 0};
  }
  /// The loops of these labels as one, where they are steps of one size; a length of -1 where not.
  Loop together(const Labels& of_labels) const {
    Loop all{1, 0};
    for (auto l = of_labels.rbegin(); l != of_labels.rend(); ++l) {
      const Loop loop = of(*l);
      if (all.length == 1) all = loop;
      else if (loop.step == all.step * all.length) all.length *= loop.length;
      else return {-1, 0};
    }
    return all;
  }
};

/// Lays `from` out anew: to[...], row-major over `outer`, is the sum over `summed`.
struct Copy {
  View from;
  std::vector<Loop> outer, summed;
  std::uint64_t to = 0;
  bool to_output = false;
};

/// c = a b for each matrix of the batch.
struct Product {
  View a, b;
  std::int64_t batch = 1;
  Loop rows, columns;  // of a and of b
  Loop a_depth, b_depth;
  std::vector<BatchLoop> loops;
  std::uint64_t to = 0, scratch = 0;
  bool to_output = false;
  ProductPlan plan;  // float32
};

struct Step {
  bool is_copy;
  Copy copy;
  Product product;
};

std::int64_t volume(const std::vector<Loop>& loops) {
  std::int64_t n = 1;
  for (const Loop& l : loops)
    check(!__builtin_mul_overflow(n, l.length, &n) && n < std::int64_t{1} << 44, "an intermediate result of Einsum is too large");
  return n;
}

/// The steps for one set of shapes.
class Planner {
 public:
  Planner(const Equation& equation, const std::vector<Dims>& operands, DType dtype, std::uint64_t element, int threads)
      : indices_(equation, operands), dtype_(dtype), element_(element), threads_(threads) {
    View result = operand(0, operands[0]);
    const Labels output = long_ones(indices_.output);
    for (std::size_t i = 1; i < operands.size(); ++i) {
      const bool last = i + 1 == operands.size();
      Labels later = output;
      for (std::size_t k = i + 1; k < operands.size(); ++k) later.insert(later.end(), indices_.inputs[k].begin(), indices_.inputs[k].end());
      result = multiply(result, operand(i, operands[i]), later, last ? &output : nullptr);
      if (last && steps_.back().product.to_output) return;
    }
    steps_.push_back(lay_out(result, output, true));
  }
  std::vector<Step> take_steps() { return std::move(steps_); }
  std::uint64_t bytes() const { return bytes_; }
  Dims output() const {
    Dims dims;
    for (const Label l : indices_.output) dims.push_back(indices_.of(l));
    return dims;
  }

 private:
  Labels long_ones(const Labels& labels) const {
    Labels out;
    for (const Label l : labels)
      if (indices_.of(l) != 1) out.push_back(l);
    return out;
  }

  /// Repeated indices walk the diagonal.
  View operand(std::size_t i, const Dims& dims) const {
    View view;
    view.input = static_cast<int>(i);
    std::int64_t stride = 1;
    for (int d = dims.rank() - 1; d >= 0; stride *= dims[d--]) {
      const Label label = indices_.inputs[i][static_cast<std::size_t>(d)];
      if (dims[d] == 1) continue;
      const auto at = std::find(view.labels.begin(), view.labels.end(), label);
      if (at == view.labels.end()) {
        view.labels.insert(view.labels.begin(), label);
        view.loops.insert(view.loops.begin(), {dims[d], stride});
      } else {
        view.loops[static_cast<std::size_t>(at - view.labels.begin())].step += stride;
      }
    }
    return view;
  }

  std::uint64_t reserve(std::int64_t count) {
    const std::uint64_t at = bytes_;
    bytes_ += (static_cast<std::uint64_t>(count) * element_ + 63) / 64 * 64;
    return at;
  }

  /// A step that copies `from` into the order of `labels`, and sums what is not among them.
  Step lay_out(const View& from, const Labels& labels, bool to_output) {
    Step step{.is_copy = true, .copy = {}, .product = {}};
    step.copy.from = from;
    step.copy.to_output = to_output;
    for (const Label l : labels) step.copy.outer.push_back({indices_.of(l), from.of(l).step});
    for (std::size_t i = 0; i < from.labels.size(); ++i)
      if (!has(labels, from.labels[i])) step.copy.summed.push_back(from.loops[i]);
    if (!to_output) step.copy.to = reserve(volume(step.copy.outer));
    return step;
  }

  View dense(std::uint64_t offset, const Labels& labels) const {
    View view;
    view.offset = offset;
    view.labels = labels;
    std::int64_t stride = 1;
    for (auto l = labels.rbegin(); l != labels.rend(); stride *= indices_.of(*l++))
      view.loops.insert(view.loops.begin(), {indices_.of(*l), stride});
    return view;
  }

  /// `from` with nothing to sum, `first` and `second` each one loop; that of `second` dense where `unit`.
  View prepared(const View& from, const Labels& batch, const Labels& first, const Labels& second, bool unit) {
    const Loop a = from.together(first), b = from.together(second);
    const bool summed = from.labels.size() != batch.size() + first.size() + second.size();
    if (!summed && a.length >= 0 && b.length >= 0 && (!unit || b.length == 1 || b.step == 1)) return from;
    Labels order = batch;
    order.insert(order.end(), first.begin(), first.end());
    order.insert(order.end(), second.begin(), second.end());
    steps_.push_back(lay_out(from, order, false));
    return dense(steps_.back().copy.to, order);
  }

  /// The product of two operands with the labels of both that are in `later`; in the order of `output` if that is given and can be.
  View multiply(const View& a, const View& b, const Labels& later, const Labels* output) {
    Labels batch, rows, columns, depth;
    const auto sort = [&](const Labels& labels) {
      for (const Label l : labels) {
        const bool in_a = has(a.labels, l), in_b = has(b.labels, l), kept = has(later, l);
        Labels& group = in_a && in_b ? (kept ? batch : depth) : in_a ? rows : columns;
        if ((in_a || in_b) && (kept || (in_a && in_b)) && !has(group, l)) group.push_back(l);
      }
    };
    if (output) sort(*output);
    sort(a.labels);
    sort(b.labels);

    Step step{.is_copy = false, .copy = {}, .product = {}};
    Product& p = step.product;
    p.a = prepared(a, batch, rows, depth, true);
    p.b = prepared(b, batch, depth, columns, false);
    p.rows = p.a.together(rows);
    p.a_depth = p.a.together(depth);
    p.b_depth = p.b.together(depth);
    p.columns = p.b.together(columns);
    std::vector<Loop> sizes{p.rows, p.columns};
    for (auto l = batch.rbegin(); l != batch.rend(); ++l) {
      p.loops.push_back({indices_.of(*l), p.a.of(*l).step, p.b.of(*l).step});
      sizes.push_back({indices_.of(*l), 0});
    }
    volume(sizes);
    for (const BatchLoop& l : p.loops) p.batch *= l.length;
    Labels order = batch;
    order.insert(order.end(), rows.begin(), rows.end());
    order.insert(order.end(), columns.begin(), columns.end());
    p.to_output = output && order == *output;
    if (!p.to_output) p.to = reserve(p.batch * p.rows.length * p.columns.length);
    if (dtype_ == DType::kFloat32) {
      p.plan = ProductPlan(p.batch, p.rows.length, p.columns.length, p.a_depth.length, false, threads_);
      p.scratch = bytes_;
      bytes_ += (p.plan.workspace_bytes() + 63) / 64 * 64;
    }
    const std::uint64_t to = p.to;
    steps_.push_back(std::move(step));
    return dense(to, order);
  }

  Indices indices_;
  DType dtype_;
  std::uint64_t element_;
  int threads_;
  std::vector<Step> steps_;
  std::uint64_t bytes_ = 0;
};

class Einsum : public provider::Kernel {
 public:
  explicit Einsum(const NodeView& node) : host_(node.host()) { parse(node.text("equation"), equation_); }

  static provider::Verdict verdict(const NodeView& node) {
    Equation equation;
    const std::string problem = parse(node.text("equation"), equation);
    ASHLAR_REQUIRE(problem.empty(), ASHLAR_ATTRIBUTE, problem);
    ASHLAR_REQUIRE(static_cast<int>(equation.inputs.size()) == node.input_count(), ASHLAR_ATTRIBUTE, "the equation has ",
                   equation.inputs.size(), " operands, the node ", node.input_count());
    for (int i = 0; i < node.input_count(); ++i)
      ASHLAR_REQUIRE(node.has_input(i), ASHLAR_ATTRIBUTE, "operand ", i, " of Einsum is left out");
    return uniform<NumericTypes>(node);
  }

  void bind(BindContext& context) const override {
    std::vector<Dims> dims;
    for (int i = 0; i < context.input_count(); ++i) dims.push_back(context.input(i).dims());
    const DType dtype = context.input(0).dtype();
    std::uint64_t element = 0;
    dispatch<NumericTypes>(dtype, [&]<class T>() { element = sizeof(T); });
    Planner planner(equation_, dims, dtype, element, host_->threads);
    context.set_output(0, planner.output());
    auto plan = std::make_unique<Plan>();
    plan->steps = planner.take_steps();
    context.set_workspace(planner.bytes());
    context.set_binding(std::move(plan));
  }

  void run(const RunContext& context) const override {
    if (context.output(0).count() == 0) return;
    dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
      for (const Step& step : context.binding<Plan>().steps) {
        if (step.is_copy) copy<T>(context, step.copy);
        else multiply<T>(context, step.product);
      }
    });
  }

 private:
  struct Plan : provider::Binding {
    std::vector<Step> steps;
  };

  template <class T> static T* target(const RunContext& context, std::uint64_t offset, bool to_output) {
    return to_output ? context.output(0).mutable_data<T>() : reinterpret_cast<T*>(static_cast<char*>(context.workspace()) + offset);
  }
  template <class T> static const T* source(const RunContext& context, const View& view) {
    return view.input < 0 ? target<T>(context, view.offset, false) : context.input(view.input).data<T>();
  }

  /// f(offset) for every index of the loops, in row-major order.
  template <class F> static void walk(const Loop* loops, std::size_t count, std::int64_t offset, const F& f) {
    if (count == 0) return f(offset);
    for (std::int64_t i = 0; i < loops->length; ++i) walk(loops + 1, count - 1, offset + i * loops->step, f);
  }

  template <class T> static void copy(const RunContext& context, const Copy& copy) {
    const T* from = source<T>(context, copy.from);
    T* to = target<T>(context, copy.to, copy.to_output);
    const std::int64_t inner = copy.outer.empty() ? 1 : copy.outer.back().length, step = copy.outer.empty() ? 0 : copy.outer.back().step;
    std::int64_t summed = 1;
    for (const Loop& l : copy.summed) summed *= l.length;
    std::int64_t lines = 1;
    for (std::size_t i = 0; i + 1 < copy.outer.size(); ++i) lines *= copy.outer[i].length;
    context.parallel_for(lines, grain_of(inner * std::max<std::int64_t>(1, summed)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        const T* x = from;
        std::int64_t rest = line;
        for (std::size_t i = copy.outer.size(); i-- > 1; rest /= copy.outer[i - 1].length)
          x += rest % copy.outer[i - 1].length * copy.outer[i - 1].step;
        T* y = to + line * inner;
        if (copy.summed.empty()) {
          for (std::int64_t i = 0; i < inner; ++i) y[i] = x[i * step];
          continue;
        }
        for (std::int64_t i = 0; i < inner; ++i) {
          using S = std::conditional_t<is_float<T>, double, ProductSum<T>>;
          S sum{};
          walk(copy.summed.data(), copy.summed.size(), i * step, [&](std::int64_t at) { sum += static_cast<S>(x[at]); });
          y[i] = narrow<T>(sum);
        }
      }
    });
  }

  template <class T> void multiply(const RunContext& context, const Product& p) const {
    const T *a = source<T>(context, p.a), *b = source<T>(context, p.b);
    T* c = target<T>(context, p.to, p.to_output);
    const std::int64_t rows = p.rows.length, columns = p.columns.length, depth = p.a_depth.length;
    if constexpr (std::is_same_v<T, float>) {
      p.plan.run(host_,
                 {.a = a,
                  .a_stride = p.rows.step,
                  .b = b,
                  .b_row = p.b_depth.step,
                  .b_column = columns == 1 ? 1 : p.columns.step,
                  .c = c,
                  .c_stride = columns,
                  .loops = p.loops},
                 target<char>(context, p.scratch, false));
    } else {
      context.parallel_for(p.batch * rows, grain_of(std::max<std::int64_t>(1, columns) * std::max<std::int64_t>(1, depth)),
                           [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t row = begin; row < end; ++row) {
                               const BatchOffsets at(p.loops, row / rows);
                               plain_product<T>(
                                   {a + at.a, p.rows.step, p.a_depth.step}, {b + at.b, p.b_depth.step, p.columns.step}, row % rows,
                                   row % rows + 1, columns, depth,
                                   [&](std::int64_t, std::int64_t j, ProductSum<T> sum) { c[row * columns + j] = narrow<T>(sum); });
                             }
                           });
    }
  }

  Equation equation_;
  const AshlarHost* host_;
};

constexpr provider::KernelEntry kKernels[] = {{"Einsum", 12, provider::kLatest, &Einsum::verdict, &provider::make<Einsum>}};

}  // namespace

std::span<const provider::KernelEntry> einsum_kernels() { return kKernels; }

}  // namespace ashlar::cpu
