// SPDX-License-Identifier: Apache-2.0
// Says which digit a gray picture shows: classify_picture digits.onnx digit_3.png
#define STB_IMAGE_IMPLEMENTATION
#include <ashlar/ashlar.h>
#include <stb/stb_image.h>
#include <algorithm>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) return std::cerr << "usage: classify_picture MODEL PICTURE\n", 1;
  int width = 0, height = 0;
  unsigned char* gray = stbi_load(argv[2], &width, &height, nullptr, 1);
  if (!gray) return std::cerr << argv[2] << ": " << stbi_failure_reason() << '\n', 1;
  std::vector<float> pixels(64);
  for (int i = 0; i < 64; ++i) pixels[i] = gray[(i / 8 * 2 + 1) * height / 16 * width + (i % 8 * 2 + 1) * width / 16] / 255.0f;
  stbi_image_free(gray);

  ashlar::Session session(ashlar::Model::load(argv[1]));
  auto outputs = session.run({{"image", ashlar::Tensor::view(pixels, {1, 1, 8, 8})}});
  auto p = outputs.at("probabilities").tensor().span<float>();
  auto best = std::max_element(p.begin(), p.end());
  std::cout << argv[2] << " shows a " << best - p.begin() << " (" << 100 * *best << " %)\n";
} catch (const ashlar::Error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
