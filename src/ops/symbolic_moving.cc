// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "ops/symbolic_rules.h"

namespace ashlar::ops {
namespace {

using Call = FactsRuleCall;

DimExpr product(const Call& c, const SymbolicShape& shape) {
  DimTable::Result out = DimExpr(1);
  for (const DimExpr& d : shape) out = out ? c.table.multiply(*out, d) : std::nullopt;
  return c.or_fresh(out);
}

Facts same(const Call& c) {
  if (!c.has(0)) return {};
  return {*c.inputs[0]};
}

Facts shape(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto rank = static_cast<std::int64_t>(in->size());
  const auto clamp = [&](std::int64_t i) { return std::clamp(i < 0 ? i + rank : i, std::int64_t{0}, rank); };
  const std::int64_t first = clamp(c.integer("start")), last = std::max(first, clamp(c.integer("end", rank)));
  return one(SymbolicShape{DimExpr(last - first)}, Elements(in->begin() + first, in->begin() + last));
}

Facts size(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return one(SymbolicShape{});
  return one(SymbolicShape{}, Elements{product(c, *in)});
}

Facts gather(const Call& c) {
  const SymbolicShape *data = c.shape(0), *indices = c.shape(1);
  if (!data || !indices) return {};
  const auto axis = Call::axis(c.integer("axis"), data->size());
  if (!axis) return {};
  SymbolicShape out(data->begin(), data->begin() + static_cast<std::ptrdiff_t>(*axis));
  out.insert(out.end(), indices->begin(), indices->end());
  out.insert(out.end(), data->begin() + static_cast<std::ptrdiff_t>(*axis) + 1, data->end());
  std::optional<Elements> elements;
  const Elements* from = c.elements(0);
  if (const auto at = c.numbers(1); from && at && data->size() == 1) {
    const auto count = static_cast<std::int64_t>(from->size());
    elements.emplace();
    for (const std::int64_t i : *at) {
      if (i < -count || i >= count) return one(std::move(out));
      elements->push_back((*from)[static_cast<std::size_t>(i < 0 ? i + count : i)]);
    }
  }
  return one(std::move(out), std::move(elements));
}

Facts like_second(const Call& c) { return c.shape(1) ? one(*c.shape(1)) : Facts(); }

Facts gather_nd(const Call& c) {
  const SymbolicShape *data = c.shape(0), *indices = c.shape(1);
  if (!data || !indices || indices->empty() || !indices->back().value()) return {};
  const std::int64_t depth = *indices->back().value() + c.integer("batch_dims");
  if (depth < 0 || depth > static_cast<std::int64_t>(data->size())) return {};
  SymbolicShape out(indices->begin(), indices->end() - 1);
  out.insert(out.end(), data->begin() + depth, data->end());
  return one(std::move(out));
}

Facts concat(const Call& c) {
  if (c.inputs.empty() || !c.shape(0)) return {};
  const auto axis = Call::axis(c.integer("axis"), c.shape(0)->size());
  if (!axis) return {};
  SymbolicShape out = *c.shape(0);
  std::optional<Elements> elements;
  if (out.size() == 1) elements.emplace();
  DimTable::Result length = DimExpr(0);
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const SymbolicShape* in = c.shape(i);
    if (!in || in->size() != out.size()) return {};
    for (std::size_t d = 0; d < out.size(); ++d)
      if (d != *axis && !out[d].value()) out[d] = (*in)[d].value() ? (*in)[d] : out[d];
    length = length ? c.table.add(*length, (*in)[*axis]) : std::nullopt;
    if (elements && c.elements(i)) elements->insert(elements->end(), c.elements(i)->begin(), c.elements(i)->end());
    else elements.reset();
  }
  out[*axis] = c.or_fresh(length);
  return one(std::move(out), std::move(elements));
}

/// How many indices Slice takes of a dimension.
DimExpr sliced(const Call& c, std::size_t axis, const DimExpr* start, const DimExpr* end, std::int64_t step) {
  const DimExpr& size = (*c.shape(0))[axis];
  const auto n = size.value();
  if (!start || !end) return c.table.fresh();
  if (n && start->value() && end->value()) {
    std::int64_t s = *start->value(), e = *end->value();
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? *n : *n - 1;
    s = std::clamp(s < 0 ? s + *n : s, std::int64_t{0}, std::max(high, std::int64_t{0}));
    e = std::clamp(e < 0 ? e + *n : e, low, std::max(high, low));
    if (step > 0) return DimExpr(e > s ? (e - s - 1) / step + 1 : 0);
    return DimExpr(s > e && *n > 0 ? (s - e - 1) / -step + 1 : 0);
  }
  if (step != 1) return c.table.fresh();
  // From the start, or counted from the end, of a dimension that is not known.
  const auto bound = [&](const DimExpr& b) -> DimTable::Result {
    if (b.value() && never_reaches(*c.shape(0), axis, *b.value())) return size;
    if (b.value() && *b.value() < 0) return c.table.maximum(c.table.add(size, b).value_or(size), DimExpr(0));
    if (!b.at_least(0)) return std::nullopt;
    return c.table.minimum(b, size);
  };
  const auto from = bound(*start), to = bound(*end);
  if (!from || !to) return c.table.fresh();
  const auto length = c.table.subtract(*to, *from);
  if (!length) return c.table.fresh();
  return c.or_fresh(length->at_least(0) ? length : c.table.maximum(*length, DimExpr(0)));
}

Facts slice(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const auto axes_given = c.numbers(3), steps = c.numbers(4);
  if ((c.has(3) && !axes_given) || (c.has(4) && !steps)) return one(c.fresh(in->size()));
  const SymbolicShape* counts = c.shape(1);
  std::size_t count = axes_given                                              ? axes_given->size()
                      : counts && counts->size() == 1 && (*counts)[0].value() ? static_cast<std::size_t>(*(*counts)[0].value())
                                                                              : in->size() + 1;
  if (count > in->size()) return one(c.fresh(in->size()));
  SymbolicShape out = *in;
  const Elements *starts = c.elements(1), *ends = c.elements(2);
  for (std::size_t i = 0; i < count; ++i) {
    const auto axis = Call::axis(axes_given ? (*axes_given)[i] : static_cast<std::int64_t>(i), in->size());
    const std::int64_t step = steps && i < steps->size() ? (*steps)[i] : 1;
    if (!axis || step == 0) return one(c.fresh(in->size()));
    out[*axis] =
        sliced(c, *axis, starts && i < starts->size() ? &(*starts)[i] : nullptr, ends && i < ends->size() ? &(*ends)[i] : nullptr, step);
  }
  std::optional<Elements> elements;
  const auto s = c.numbers(1), e = c.numbers(2);
  if (c.elements(0) && in->size() == 1 && count == 1 && s && e && s->size() == 1 && e->size() == 1) {
    const Elements& from = *c.elements(0);
    const auto n = static_cast<std::int64_t>(from.size());
    const std::int64_t step = steps ? (*steps)[0] : 1;
    const std::int64_t length = out[0].value().value_or(0);
    std::int64_t at = std::clamp((*s)[0] < 0 ? (*s)[0] + n : (*s)[0], std::int64_t{0}, std::max<std::int64_t>(0, step > 0 ? n : n - 1));
    elements.emplace();
    for (std::int64_t i = 0; i < length; ++i, at += step) elements->push_back(from[static_cast<std::size_t>(at)]);
  }
  return one(std::move(out), std::move(elements));
}

Facts unsqueeze(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const auto axes = c.numbers(1);
  if (!in || !axes) return {};
  const std::size_t rank = in->size() + axes->size();
  std::vector<char> inserted(rank, 0);
  for (const std::int64_t a : *axes) {
    const auto axis = Call::axis(a, rank);
    if (!axis || inserted[*axis]++) return {};
  }
  SymbolicShape out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < rank; ++i) out.push_back(inserted[i] ? DimExpr(1) : (*in)[next++]);
  return one(std::move(out), c.inputs[0]->elements);
}

Facts squeeze(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  std::vector<char> dropped(in->size(), 0);
  if (c.has(1)) {
    const auto axes = c.numbers(1);
    if (!axes) return {};
    for (const std::int64_t a : *axes) {
      const auto axis = Call::axis(a, in->size());
      if (!axis) return {};
      dropped[*axis] = 1;
    }
  } else {
    for (std::size_t i = 0; i < in->size(); ++i) {
      if (!(*in)[i].value()) return {};
      dropped[i] = (*in)[i].is(1);
    }
  }
  SymbolicShape out;
  for (std::size_t i = 0; i < in->size(); ++i)
    if (!dropped[i]) out.push_back((*in)[i]);
  return one(std::move(out), c.inputs[0]->elements);
}

Facts reshape(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const Elements* target = c.elements(1);
  std::optional<Elements> elements = c.has(0) ? c.inputs[0]->elements : std::nullopt;
  if (!target) {
    const SymbolicShape* rank = c.shape(1);
    if (!rank || rank->size() != 1 || !(*rank)[0].value() || *(*rank)[0].value() > 64) return {};
    SymbolicShape out = c.fresh(static_cast<std::size_t>(*(*rank)[0].value()));
    if (out.size() == 1 && in) out[0] = product(c, *in);
    return one(std::move(out), std::move(elements));
  }
  const bool allow_zero = c.integer("allowzero") != 0;
  SymbolicShape out;
  std::size_t inferred = target->size();
  for (std::size_t i = 0; i < target->size(); ++i) {
    const DimExpr& d = (*target)[i];
    if (d.is(-1)) {
      if (inferred != target->size()) return {};
      inferred = i;
      out.emplace_back(1);
    } else if (d.is(0) && !allow_zero) {
      out.push_back(in && i < in->size() ? (*in)[i] : c.table.fresh());
    } else if (!allow_zero && !d.at_least(1) && !d.value()) {
      // A dimension that may be 0 copies the input's; where that is the same one, nothing changes.
      out.push_back(in && i < in->size() && (*in)[i] == d ? d : d.at_least(0) ? d : c.table.fresh());
    } else {
      out.push_back(d.at_least(0) ? d : c.table.fresh());
    }
  }
  if (inferred != target->size()) {
    DimExpr rest = c.table.fresh();
    if (in) {
      // Factors that stand on both sides cancel, even where they may be 0: then the run fails or has no elements.
      std::vector<DimExpr> above = *in, below;
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (i == inferred) continue;
        const auto same_factor = std::find(above.begin(), above.end(), out[i]);
        if (same_factor != above.end()) above.erase(same_factor);
        else below.push_back(out[i]);
      }
      const DimExpr a = product(c, above), b = product(c, below);
      if (const auto exact = DimExpr::divide(a, b); exact && exact->at_least(0)) rest = *exact;
    }
    out[inferred] = rest;
  }
  return one(std::move(out), std::move(elements));
}

Facts flatten(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return one(c.fresh(2));
  const std::int64_t rank = static_cast<std::int64_t>(in->size()), given = c.integer("axis", 1), axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis > rank) return {};
  return one(SymbolicShape{product(c, {in->begin(), in->begin() + axis}), product(c, {in->begin() + axis, in->end()})});
}

Facts transpose(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  SymbolicShape out;
  const auto perm = c.integers("perm");
  if (!c.node.find("perm")) return one(SymbolicShape(in->rbegin(), in->rend()));
  for (const std::int64_t p : perm) {
    if (p < 0 || p >= static_cast<std::int64_t>(in->size())) return {};
    out.push_back((*in)[static_cast<std::size_t>(p)]);
  }
  return one(std::move(out));
}

Facts expand(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  if (const Elements* to = c.elements(1)) {
    for (const DimExpr& d : *to)
      if (!d.at_least(0)) return one(c.fresh(std::max(in->size(), to->size())));
    const SymbolicShape target(to->begin(), to->end());
    auto out = c.broadcast(in, &target);
    std::optional<Elements> elements;
    if (out && *out == *in) elements = c.inputs[0]->elements;
    else if (out && out->size() == 1 && (*out)[0].value() && *(*out)[0].value() <= kMostFollowed && c.elements(0) &&
             c.elements(0)->size() == 1)
      elements = Elements(static_cast<std::size_t>(*(*out)[0].value()), (*c.elements(0))[0]);
    return one(std::move(out), std::move(elements));
  }
  const SymbolicShape* rank = c.shape(1);
  if (!rank || rank->size() != 1 || !(*rank)[0].value() || *(*rank)[0].value() > 64) return {};
  return one(c.fresh(std::max(in->size(), static_cast<std::size_t>(*(*rank)[0].value()))));
}

Facts constant_of_shape(const Call& c) {
  const Elements* to = c.elements(0);
  if (!to) {
    const SymbolicShape* rank = c.shape(0);
    if (!rank || rank->size() != 1 || !(*rank)[0].value() || *(*rank)[0].value() > 64) return {};
    return one(c.fresh(static_cast<std::size_t>(*(*rank)[0].value())));
  }
  SymbolicShape out;
  std::int64_t count = 1;
  for (const DimExpr& d : *to) {
    out.push_back(d.at_least(0) ? d : c.table.fresh());
    count = d.value() && *d.value() >= 0 && *d.value() <= kMostFollowed && count <= kMostFollowed ? count * *d.value() : kMostFollowed + 1;
  }
  std::optional<Elements> elements;
  const Tensor* value = c.node.find_as<Tensor>("value");
  if (value && count <= kMostFollowed)
    if (const ValueFacts v = facts_of(*value); v.elements && v.elements->size() == 1)
      elements = Elements(static_cast<std::size_t>(count), (*v.elements)[0]);
  return one(std::move(out), std::move(elements));
}

Facts range(const Call& c) {
  const Elements *start = c.elements(0), *limit = c.elements(1), *step = c.elements(2);
  if (!start || !limit || !step || start->size() != 1 || limit->size() != 1 || step->size() != 1 || !(*step)[0].is(1))
    return one(c.fresh(1));
  const auto length = c.table.subtract((*limit)[0], (*start)[0]);
  if (!length) return one(c.fresh(1));
  SymbolicShape out{c.or_fresh(length->at_least(0) ? length : c.table.maximum(*length, DimExpr(0)))};
  std::optional<Elements> elements;
  if (const auto n = out[0].value(); n && *n <= kMostFollowed) {
    elements.emplace();
    for (std::int64_t i = 0; i < *n; ++i) {
      const auto e = c.table.add((*start)[0], DimExpr(i));
      if (!e) return one(std::move(out));
      elements->push_back(*e);
    }
  }
  return one(std::move(out), std::move(elements));
}

Facts split(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const std::size_t parts = c.node.outputs.size();
  if (!in) return {};
  const auto axis = Call::axis(c.integer("axis"), in->size());
  if (!axis) return {};
  const Elements* sizes = c.elements(1);
  Facts out;
  for (std::size_t i = 0; i < parts; ++i) {
    SymbolicShape part = *in;
    const auto whole = (*in)[*axis].value();
    const std::int64_t count = c.integer("num_outputs", static_cast<std::int64_t>(parts));
    if (sizes && i < sizes->size()) part[*axis] = c.or_fresh((*sizes)[i]);
    else if (!c.has(1) && whole && count > 0) {
      const std::int64_t chunk = (*whole + count - 1) / count;
      part[*axis] = DimExpr(std::clamp(*whole - static_cast<std::int64_t>(i) * chunk, std::int64_t{0}, chunk));
    } else {
      part[*axis] = c.table.fresh();
    }
    out.push_back({std::move(part), {}});
  }
  return out;
}

Facts tile(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const Elements* repeats = c.elements(1);
  if (!in) return {};
  if (!repeats || repeats->size() != in->size()) return one(c.fresh(in->size()));
  SymbolicShape out;
  for (std::size_t i = 0; i < in->size(); ++i) out.push_back(c.or_fresh(c.table.multiply((*in)[i], (*repeats)[i])));
  return one(std::move(out));
}

Facts pad(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  if (!in) return {};
  const Elements* pads = c.elements(1);
  const auto axes = c.numbers(3);
  const std::size_t count = c.has(3) ? (axes ? axes->size() : 0) : in->size();
  if (!pads || (c.has(3) && !axes) || pads->size() != 2 * count) return one(c.fresh(in->size()));
  SymbolicShape out = *in;
  for (std::size_t i = 0; i < count; ++i) {
    const auto axis = Call::axis(axes ? (*axes)[i] : static_cast<std::int64_t>(i), in->size());
    if (!axis) return one(c.fresh(in->size()));
    auto length = c.table.add(out[*axis], (*pads)[i]);
    if (length) length = c.table.add(*length, (*pads)[count + i]);
    out[*axis] = c.or_fresh(length);
  }
  return one(std::move(out));
}

Facts depth_to_space(const Call& c) {
  const SymbolicShape* in = c.shape(0);
  const std::int64_t block = c.integer("blocksize", 1);
  if (!in || in->size() != 4 || block < 1) return {};
  const bool to_space = c.node.op_type == "DepthToSpace";
  SymbolicShape out = *in;
  const auto by = [&](const DimExpr& d, std::int64_t factor, bool grow) {
    return grow ? c.or_fresh(c.table.multiply(d, DimExpr(factor))) : c.or_fresh(c.table.floor_divide(d, DimExpr(factor)));
  };
  if (block > 1 << 16) return {};
  out[1] = by(out[1], block * block, !to_space);
  for (const std::size_t i : {2u, 3u}) out[i] = by(out[i], block, to_space);
  return one(std::move(out));
}

Facts nonzero(const Call& c) {
  if (!c.shape(0)) return {};
  return one(SymbolicShape{DimExpr(static_cast<std::int64_t>(c.shape(0)->size())), c.table.fresh()});
}

constexpr auto kRows = std::to_array<FactsRow>({
    {"Concat", &concat},
    {"ConstantOfShape", &constant_of_shape},
    {"DepthToSpace", &depth_to_space},
    {"Expand", &expand},
    {"Flatten", &flatten},
    {"Gather", &gather},
    {"GatherElements", &like_second},
    {"GatherND", &gather_nd},
    {"Identity", &same},
    {"NonZero", &nonzero},
    {"Pad", &pad},
    {"Range", &range},
    {"Reshape", &reshape},
    {"Shape", &shape},
    {"Size", &size},
    {"Slice", &slice},
    {"SpaceToDepth", &depth_to_space},
    {"Split", &split},
    {"Squeeze", &squeeze},
    {"Tile", &tile},
    {"Transpose", &transpose},
    {"Unsqueeze", &unsqueeze},
});

}  // namespace

std::span<const FactsRow> moving_rules() { return kRows; }

}  // namespace ashlar::ops
