// SPDX-License-Identifier: Apache-2.0
// Det, by Gaussian elimination with partial pivoting.
#include <cmath>
#include <utility>
#include <vector>

#include "reals.h"

namespace ashlar::reference {
namespace {

using provider::BindContext;
using provider::check;
using provider::Kernel;
using provider::KernelEntry;
using provider::NodeView;
using provider::RunContext;

double determinant(std::vector<double> a, std::int64_t n) {
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& { return a[static_cast<std::size_t>(i * n + j)]; };
  double det = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i)
      if (std::abs(at(i, k)) > std::abs(at(pivot, k))) pivot = i;
    if (pivot != k) {
      for (std::int64_t j = k; j < n; ++j) std::swap(at(pivot, j), at(k, j));
      det = -det;
    }
    det *= at(k, k);
    if (at(k, k) == 0) return det;
    for (std::int64_t i = k + 1; i < n; ++i) {
      const double factor = at(i, k) / at(k, k);
      for (std::int64_t j = k; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return det;
}

class Det : public Kernel {
 public:
  explicit Det(const NodeView&) {}
  void bind(BindContext& context) const override {
    const Dims x = context.input(0).dims();
    const int rank = x.rank();
    check(rank >= 2 && x[rank - 1] == x[rank - 2], "Det of the shape ", x);
    context.set_output(0, Dims(x.span().first(static_cast<std::size_t>(rank - 2))));
  }
  void run(const RunContext& context) const override {
    const std::int64_t n = context.input(0).dim(context.input(0).rank() - 1), count = context.output(0).count();
    for (std::int64_t i = 0; i < count; ++i) {
      std::vector<double> matrix(static_cast<std::size_t>(n * n));
      load_reals(context.input(0), i * n * n, n * n, matrix.data());
      const double det = determinant(std::move(matrix), n);
      store_reals(context.output(0), i, 1, &det);
    }
  }
};

constexpr KernelEntry kKernels[] = {{"Det", 11, provider::kLatest, &takes<FloatTypes>, &provider::make<Det>}};

}  // namespace

std::span<const KernelEntry> linalg_kernels() { return kKernels; }

}  // namespace ashlar::reference
