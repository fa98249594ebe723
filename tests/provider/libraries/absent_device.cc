// SPDX-License-Identifier: Apache-2.0
// A provider whose device is not there (option `library`: whose driver is not), but which can say what it would do on one. It takes Relu, on a device
// whose attribute "generation" is at least 2 that of float64 too.
#include <cstring>

#include <ashlar/provider/table_provider.h>

namespace {

using namespace ashlar::provider;

Verdict relu(const NodeView& node) {
  bool takes_double = false;
  for (std::uint32_t i = 0; i < node.host()->planned_count; ++i) {
    const AshlarOption& o = node.host()->planned[i];
    takes_double = takes_double || (std::strcmp(o.name, "generation") == 0 && std::atoi(o.value) >= 2);
  }
  const DType dtype = node.input(0).dtype();
  ASHLAR_REQUIRE(dtype == DType::kFloat32 || (takes_double && dtype == DType::kFloat64), ASHLAR_NO_KERNEL_DTYPE, "Relu of ",
                 dtype_name(dtype), " has no kernel on this generation");
  return accept();
}

constexpr KernelEntry kTable[] = {{"Relu", 6, kLatest, &relu, nullptr}};
constexpr std::span<const KernelEntry> kTables[] = {kTable};

struct Absent {
  static constexpr const char* name = "absent";
  static constexpr const char* version = "3";
  static std::span<const std::span<const KernelEntry>> kernels() { return kTables; }
  static std::unique_ptr<Device> open(const AshlarHost*, const Options& options) {
    if (options.flag("library", false)) throw Failure(ASHLAR_UNAVAILABLE, "libabsent.so.3 was not found", ASHLAR_LIBRARY_MISSING);
    throw Failure(ASHLAR_UNAVAILABLE, "no absent device is in this machine", ASHLAR_DEVICE_MISSING);
  }
  static void plan(const AshlarHost*, const Options&) {}
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const AshlarProvider* ashlar_provider_entry(const AshlarHost* host,
                                                                                              AshlarStatus* status) {
  return TableProvider<Absent>::entry(host, status);
}
