/* SPDX-License-Identifier: Apache-2.0 */
/* Its table has no prepare. */
#include "plain.h"

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("no_prepare");
  provider.prepare = NULL;
  return &provider;
}
