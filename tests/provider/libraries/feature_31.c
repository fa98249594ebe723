/* SPDX-License-Identifier: Apache-2.0 */
/* Cannot do without a feature that no core has yet. */
#include "plain.h"

static AshlarCode describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
  const AshlarCode code = plain_describe(instance, info, status);
  info->required_features = ASHLAR_CORE_PACKED | (UINT32_C(1) << 31);
  return code;
}

const AshlarProvider* ashlar_provider_entry(const AshlarHost* host, AshlarStatus* status) {
  static AshlarProvider provider;
  (void)host;
  (void)status;
  provider = plain_provider("feature_31");
  provider.describe = &describe;
  return &provider;
}
