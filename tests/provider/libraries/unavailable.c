/* SPDX-License-Identifier: Apache-2.0 */
/* For a device that the machine lacks. */
#include "plain.h"

static AshlarCode create(const AshlarHost* host, const AshlarOption* options, uint32_t option_count, void** instance,
                         AshlarStatus* status) {
  (void)host;
  (void)options;
  (void)option_count;
  (void)instance;
  snprintf(status->message, sizeof(status->message), "stone needs driver 12.4 or later, found driver 11.8 in /opt/stone/libstone.so.1");
  status->code = ASHLAR_UNAVAILABLE;
  return ASHLAR_UNAVAILABLE;
}

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("unavailable");
  provider.create = &create;
  return &provider;
}
