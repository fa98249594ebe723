// SPDX-License-Identifier: Apache-2.0
// A device that has spaces and queues and does nothing with them. Option `staging`: the space it says the host side of copies belongs in.
#include <ashlar/provider/table_provider.h>

namespace {

using namespace ashlar::provider;

class IdleDevice final : public Device {
 public:
  explicit IdleDevice(const Options& options) : staging_(static_cast<std::uint32_t>(std::stoul(options.get("staging", "2")))) {
    options.allow({"staging"});
  }
  std::vector<Space> spaces() const override {
    return {{.name = "device", .total_bytes = std::uint64_t{3} << 29}, {.name = "pinned", .host_accessible = true}};
  }
  std::uint32_t queue_count() const override { return 3; }
  std::uint32_t upload_queue() const override { return 2; }
  std::uint32_t download_queue() const override { return 3; }
  std::uint32_t staging_space() const override { return staging_; }
  std::uint32_t features() const override { return ASHLAR_DEVICE_CAPTURE | ASHLAR_DEVICE_TIMES; }
  std::string description() const override { return "an idle device, driver 4.5"; }
  void* allocate(std::uint32_t, std::uint64_t) override { return nullptr; }
  void free(std::uint32_t, void*) noexcept override {}
  void* create_queue(std::uint32_t) override { return nullptr; }
  void destroy_queue(void*) noexcept override {}
  void copy(void*, void*, std::uint32_t, const void*, std::uint32_t, std::uint64_t) override {}
  void drain(void*) override {}
  void* create_event(bool) override { return nullptr; }
  void destroy_event(void*) noexcept override {}
  void signal(void*, void*) override {}
  void wait(void*, void*) override {}
  bool synchronize(void*, std::int64_t) override { return true; }

 private:
  std::uint32_t staging_;
};

struct Idle {
  static constexpr const char* name = "idle";
  static constexpr const char* version = "1.2.3";
  static std::span<const std::span<const KernelEntry>> kernels() { return {}; }
  static std::unique_ptr<Device> open(const AshlarHost*, const Options& options) { return std::make_unique<IdleDevice>(options); }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const AshlarProvider* ashlar_provider_entry(const AshlarHost* host,
                                                                                              AshlarStatus* status) {
  return TableProvider<Idle>::entry(host, status);
}
