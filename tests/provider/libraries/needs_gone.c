/* SPDX-License-Identifier: Apache-2.0 */
/* Linked with a library that is not beside it when it is loaded. */
#include "plain.h"

int gone_answer(void);

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("needs_gone");
  provider.abi_version = (uint32_t)gone_answer();
  return &provider;
}
