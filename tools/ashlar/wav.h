// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ashlar::cli {

struct Sound {
  int rate = 0;                ///< samples per second
  int channels = 0;            ///< as recorded
  std::vector<float> samples;  ///< the channels' mean, PCM scaled to [-1, 1)
};

/// A RIFF/WAVE file of PCM (8, 16, 24 or 32 bits) or IEEE floats (32 or 64 bits), WAVE_FORMAT_EXTENSIBLE too ("Multimedia
/// Programming Interface and Data Specifications 1.0", IBM and Microsoft, 1991). A data chunk longer than the file is cut to it,
/// as recorders that were interrupted leave it. Throws Error (kInvalidArgument) for anything else.
Sound parse_wav(std::span<const std::byte> bytes);

}  // namespace ashlar::cli
