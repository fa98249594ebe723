// SPDX-License-Identifier: Apache-2.0
// Usage: consumer MODELS_DIR
#include "digits.h"

int main(int argc, char** argv) { return argc == 2 ? use_ashlar(argv[1]) : 1; }
