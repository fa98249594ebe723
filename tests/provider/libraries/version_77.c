/* SPDX-License-Identifier: Apache-2.0 */
/* Built for version 77 of the border, and says so in its table alone. */
#include "plain.h"

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("version_77");
  provider.abi_version = 77;
  return &provider;
}
