/* SPDX-License-Identifier: Apache-2.0 */
/* Of the same version, but of another layout. */
#include "plain.h"

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("other_layout");
  provider.abi_layout = ASHLAR_ABI_LAYOUT ^ 0xffffffffu;
  return &provider;
}
