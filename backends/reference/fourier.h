// SPDX-License-Identifier: Apache-2.0
// The discrete Fourier transform of any length, in O(n log n).
#pragma once

#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

namespace ashlar::reference {

using Complex = std::complex<double>;

/// e^(i pi numerator / denominator).
inline Complex unit(std::uint64_t numerator, std::uint64_t denominator) {
  return std::polar(1.0, std::numbers::pi * static_cast<double>(numerator) / static_cast<double>(denominator));
}

/// The inverse transform without the division by n; n is a power of two. Radix 2, by decimation in time.
inline std::vector<Complex> radix2(const std::vector<Complex>& x) {
  const std::size_t n = x.size();
  std::vector<Complex> y(n), roots(n / 2);
  for (std::size_t i = 0; i < roots.size(); ++i) roots[i] = unit(2 * i, n);
  for (std::size_t i = 0, reversed = 0; i < n; ++i) {
    y[reversed] = x[i];
    std::size_t bit = n / 2;
    while (bit > 0 && (reversed & bit) != 0) reversed ^= bit, bit /= 2;
    reversed |= bit;
  }
  for (std::size_t size = 2; size <= n; size *= 2) {
    for (std::size_t start = 0; start < n; start += size) {
      for (std::size_t k = 0; k < size / 2; ++k) {
        const Complex even = y[start + k], odd = roots[k * (n / size)] * y[start + k + size / 2];
        y[start + k] = even + odd;
        y[start + k + size / 2] = even - odd;
      }
    }
  }
  return y;
}

/// y[k] = sum x[n] e^(-2 pi i k n / N), or its inverse, which divides by N. Lengths that are no power of two go by Bluestein's algorithm
/// (L. Bluestein, "A linear filtering approach to the computation of discrete Fourier transform", 1970): kn = (k^2 + n^2 - (k-n)^2) / 2
/// makes the transform a convolution. N is at least 1 and below 2^31.
inline std::vector<Complex> fourier(std::vector<Complex> x, bool inverse) {
  const std::size_t n = x.size();
  if (!inverse)
    for (Complex& v : x) v = std::conj(v);
  if (std::has_single_bit(n)) {
    x = radix2(x);
  } else {
    const std::size_t size = std::bit_ceil(2 * n);
    std::vector<Complex> chirp(n), a(size), b(size);
    for (std::uint64_t k = 0; k < n; ++k) chirp[k] = unit(k * k % (2 * n), n);
    for (std::size_t k = 0; k < n; ++k) a[k] = x[k] * chirp[k];
    b[0] = std::conj(chirp[0]);
    for (std::size_t k = 1; k < n; ++k) b[k] = b[size - k] = std::conj(chirp[k]);
    const std::vector<Complex> fa = radix2(a), fb = radix2(b);
    for (std::size_t k = 0; k < size; ++k) a[k] = std::conj(fa[k] * fb[k]);
    a = radix2(a);
    for (std::size_t k = 0; k < n; ++k) x[k] = std::conj(a[k]) / static_cast<double>(size) * chirp[k];
  }
  for (Complex& v : x) v = inverse ? v / static_cast<double>(n) : std::conj(v);
  return x;
}

}  // namespace ashlar::reference
