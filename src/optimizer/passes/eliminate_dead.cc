// SPDX-License-Identifier: Apache-2.0
#include "optimizer/pass.h"

namespace ashlar::optimizer {

Pass eliminate_dead() {
  return {"eliminate-dead", "nodes whose results nobody reads go", [](Editor& editor) { editor.remove_unread("eliminate-dead"); }};
}

}  // namespace ashlar::optimizer
