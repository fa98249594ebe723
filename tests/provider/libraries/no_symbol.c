/* SPDX-License-Identifier: Apache-2.0 */
/* A library that is no provider. */
#include <ashlar/provider/abi.h>

uint32_t plain_version(void);

uint32_t plain_version(void) { return ASHLAR_ABI_VERSION; }
