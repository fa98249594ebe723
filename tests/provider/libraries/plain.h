/* SPDX-License-Identifier: Apache-2.0 */
/* A provider in plain C that refuses every node: the libraries here each change one thing of it. */
#ifndef ASHLAR_TESTS_PLAIN_H_
#define ASHLAR_TESTS_PLAIN_H_

#include <ashlar/provider/abi.h>
#include <stdio.h>

static AshlarCode plain_create(const AshlarHost* host, const AshlarOption* options, uint32_t option_count, void** instance,
                               AshlarStatus* status) {
  static int made;
  (void)host;
  (void)options;
  (void)option_count;
  (void)status;
  *instance = &made;
  return ASHLAR_OK;
}

static void plain_destroy(void* instance) { (void)instance; }

static AshlarCode plain_describe(void* instance, AshlarProviderInfo* info, AshlarStatus* status) {
  const AshlarProviderInfo filled = {.struct_size = sizeof(AshlarProviderInfo), .device = "host"};
  (void)instance;
  (void)status;
  *info = filled;
  return ASHLAR_OK;
}

static AshlarCode plain_verdict(void* instance, const AshlarGraph* graph, uint32_t node, AshlarVerdict* verdict, AshlarStatus* status) {
  (void)instance;
  (void)graph;
  (void)node;
  (void)status;
  verdict->code = ASHLAR_NO_KERNEL_OP;
  snprintf(verdict->reason, sizeof(verdict->reason), "plain has no kernels");
  return ASHLAR_OK;
}

static AshlarCode plain_prepare(void* instance, const AshlarGraph* graph, const uint32_t* nodes, uint32_t node_count,
                                AshlarProgram* program, AshlarStatus* status) {
  (void)instance;
  (void)graph;
  (void)nodes;
  (void)node_count;
  (void)program;
  snprintf(status->message, sizeof(status->message), "plain was given nodes it had refused");
  status->code = ASHLAR_INTERNAL;
  return ASHLAR_INTERNAL;
}

static void plain_release(void* instance, AshlarProgram* program) {
  (void)instance;
  (void)program;
}

static inline AshlarProvider plain_provider(const char* name) {
  const AshlarProvider made = {.struct_size = sizeof(AshlarProvider),
                               .abi_version = ASHLAR_ABI_VERSION,
                               .abi_layout = ASHLAR_ABI_LAYOUT,
                               .name = name,
                               .version = "1.2.3",
                               .create = &plain_create,
                               .destroy = &plain_destroy,
                               .describe = &plain_describe,
                               .verdict = &plain_verdict,
                               .prepare = &plain_prepare,
                               .release = &plain_release};
  return made;
}

#endif /* ASHLAR_TESTS_PLAIN_H_ */
