/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the core itself, as table_provider.h does, and was built for version 78. */
#include "plain.h"

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  snprintf(status->message, sizeof(status->message), "refuses was built for version 78 of the provider border, the core has version %u",
           (unsigned)host->abi_version);
  status->code = ASHLAR_UNSUPPORTED;
  return NULL;
}
