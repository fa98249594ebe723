// SPDX-License-Identifier: Apache-2.0
// Operators on strings: StringConcat, StringSplit, StringNormalizer, RegexFullMatch.
#include <algorithm>
#include <string>
#include <string_view>

#include "full_match.h"
#include "packed.h"
#include "text.h"

namespace ashlar::reference {
namespace {

using namespace provider;

class StringConcat final : public Kernel {
 public:
  explicit StringConcat(const NodeView&) {}
  void bind(BindContext& context) const override { context.set_output(0, broadcast(context.input(0).dims(), context.input(1).dims())); }
  void run(const RunContext& context) const override {
    const TensorView a = context.input(0), b = context.input(1), out = context.output(0);
    for_each_broadcast(out.dims(), a.dims(), b.dims(), [&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
      out.set_string(i, std::string(a.string(ia)).append(b.string(ib)));
    });
  }
};

/// Splits as Python's str.split does: at `delimiter`, or at runs of white space where that is empty; most < 0 is no limit.
std::vector<std::string_view> split(std::string_view text, std::string_view delimiter, std::int64_t most) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  std::vector<std::string_view> parts;
  const auto full = [&] { return most >= 0 && static_cast<std::int64_t>(parts.size()) >= most; };
  if (!delimiter.empty()) {
    for (std::size_t at = full() ? text.npos : text.find(delimiter); at != text.npos; at = full() ? text.npos : text.find(delimiter)) {
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at + delimiter.size());
    }
    parts.push_back(text);
    return parts;
  }
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    if (text.empty()) return parts;
    const std::size_t at = full() ? text.size() : std::min(text.find_first_of(kSpace), text.size());
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at);
  }
}

class StringSplit final : public Kernel {
 public:
  explicit StringSplit(const NodeView& node) : delimiter_(node.text("delimiter")), most_(node.integer("maxsplit", -1)) {}

  void bind(BindContext& context) const override {
    context.set_output_unknown(0);
    context.set_output(1, context.input(0).dims());
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    std::vector<std::vector<std::string_view>> rows;
    std::size_t width = 0;
    for (std::int64_t i = 0; i < in.count(); ++i) {
      rows.push_back(split(in.string(i), delimiter_, most_));
      width = std::max(width, rows.back().size());
      if (context.has_output(1)) context.output(1).mutable_data<std::int64_t>()[i] = static_cast<std::int64_t>(rows.back().size());
    }
    Dims out = in.dims();
    out.push_back(static_cast<std::int64_t>(width));
    checked_count(out);
    context.set_output(0, out);
    if (!context.has_output(0)) return;
    std::int64_t at = 0;
    for (const auto& row : rows)
      for (std::size_t i = 0; i < width; ++i) context.output(0).set_string(at++, i < row.size() ? row[i] : std::string_view());
  }

 private:
  std::string delimiter_;
  std::int64_t most_;
};

Verdict normalizer_verdict(const NodeView& node) {
  const std::string action = node.text("case_change_action", "NONE");
  ASHLAR_REQUIRE(action == "NONE" || action == "LOWER" || action == "UPPER", ASHLAR_ATTRIBUTE,
                 "StringNormalizer has no case_change_action ", action);
  return accept();
}

class StringNormalizer final : public Kernel {
 public:
  explicit StringNormalizer(const NodeView& node)
      : action_(node.text("case_change_action", "NONE")), sensitive_(node.integer("is_case_sensitive", 0) != 0),
        stopwords_(node.texts("stopwords")) {
    for (std::string& word : stopwords_)
      if (!sensitive_) word = to_case(word, false);
    std::sort(stopwords_.begin(), stopwords_.end());
  }

  void bind(BindContext& context) const override {
    const Dims in = context.input(0).dims();
    check(in.rank() == 1 || (in.rank() == 2 && in[0] == 1), "the input has the shape ", in, ", not [C] or [1,C]");
    context.set_output_unknown(0);
  }

  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    std::vector<std::string> kept;
    for (std::int64_t i = 0; i < in.count(); ++i) {
      const std::string word(in.string(i));
      if (std::binary_search(stopwords_.begin(), stopwords_.end(), sensitive_ ? word : to_case(word, false))) continue;
      kept.push_back(action_ == "NONE" ? word : to_case(word, action_ == "UPPER"));
    }
    if (kept.empty()) kept.emplace_back();
    Dims out = in.dims();
    out[out.rank() - 1] = static_cast<std::int64_t>(kept.size());
    context.set_output(0, out);
    if (!context.has_output(0)) return;
    for (std::size_t i = 0; i < kept.size(); ++i) context.output(0).set_string(static_cast<std::int64_t>(i), kept[i]);
  }

 private:
  std::string action_;
  bool sensitive_;
  std::vector<std::string> stopwords_;
};

Verdict regex_verdict(const NodeView& node) {
  try {
    FullMatch(node.text("pattern"));
  } catch (const Failure& e) {
    return refuse(ASHLAR_ATTRIBUTE, "RegexFullMatch: ", e.what());
  }
  return accept();
}

class RegexFullMatch final : public Kernel {
 public:
  explicit RegexFullMatch(const NodeView& node) : match_(node.text("pattern")) {}
  void bind(BindContext& context) const override { context.set_output(0, context.input(0).dims()); }
  void run(const RunContext& context) const override {
    const TensorView in = context.input(0);
    for (std::int64_t i = 0; i < in.count(); ++i) context.output(0).mutable_data<bool>()[i] = match_(in.string(i));
  }

 private:
  FullMatch match_;
};

constexpr KernelEntry kTable[] = {
    {"StringConcat", 20, kLatest, nullptr, &make<StringConcat>},
    {"StringSplit", 20, kLatest, nullptr, &make<StringSplit>},
    {"StringNormalizer", 10, kLatest, &normalizer_verdict, &make<StringNormalizer>},
    {"RegexFullMatch", 20, kLatest, &regex_verdict, &make<RegexFullMatch>},
};

}  // namespace

std::span<const provider::KernelEntry> string_ops_kernels() { return kTable; }

}  // namespace ashlar::reference
