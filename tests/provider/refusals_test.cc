// SPDX-License-Identifier: Apache-2.0
// Files that are no provider libraries, and tables and descriptions that cannot be right: each is refused for what it is, and leaves nothing.
#include <dlfcn.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <ashlar/ashlar.h>
#include <gmock/gmock.h>

#include "partition/graph_view.h"
#include "partition/host.h"
#include "partition/provider.h"
#include "tests/support/text_model.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;

std::shared_ptr<const partition::Provider> create(const std::string& spec) {
  return partition::Provider::create(spec, std::make_shared<const partition::Host>(core::Executor{}));
}

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "ashlar_refusals_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& bytes) {
    const fs::path path = folder_ / "library.so";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  /// The bytes of a library that can be loaded.
  static std::string library() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(&::getpid), &info) == 0) throw std::runtime_error("the C library cannot be found");
    std::ifstream file(info.dli_fname, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void expect_unavailable(const fs::path& path, const std::string& reason) {
    const Error e = error_of([&] { create(path.string()); });
    EXPECT_EQ(e.code(), ErrorCode::kUnavailable) << e.what();
    EXPECT_THAT(e.message(), AllOf(HasSubstr(path.string()), HasSubstr(reason)));
    EXPECT_EQ(e.context().file, path.string());
  }

  fs::path folder_;
};

TEST_F(Files, AWholeLibraryReachesTheLoader) { expect_unavailable(write(library()), "does not export ashlar_provider_entry"); }

TEST_F(Files, ALibraryThatWasCutShortIsRefusedBeforeItIsMapped) {
  const std::string whole = library();
  expect_unavailable(write(whole.substr(0, 8192)), "it ends at byte 8192, its contents at byte ");
  expect_unavailable(write(whole.substr(0, 100)), "it ends at byte 100, its contents at byte ");
  expect_unavailable(write(whole.substr(0, 20)), "it ends at byte 20, its contents at byte ");
}

TEST_F(Files, AnotherArchitectureIsNamedBesideThisOne) {
  std::string bytes = library();
  const auto patch = [&](std::size_t at, char value) {
    std::string patched = bytes;
    patched[at] = value;
    return write(patched);
  };
  expect_unavailable(patch(18, static_cast<char>(EM_RISCV)), "it is built for RISC-V, this process is ");
  expect_unavailable(patch(EI_CLASS, ELFCLASS32), "it is built for 32 bits, this process has 64");
  expect_unavailable(patch(EI_DATA, ELFDATA2MSB), "another order of bytes");
  expect_unavailable(patch(16, ET_EXEC), "it is no shared library");
}

TEST_F(Files, WhatIsNoLibraryIsSaidToBeNone) {
  expect_unavailable(write("words, words, words\n"), "it is no ELF file");
  expect_unavailable(write(""), "it is no ELF file");
  fs::create_directory(folder_ / "folder.so");
  expect_unavailable(folder_ / "folder.so", "it is a directory");
  const fs::path pipe = folder_ / "pipe.so";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_unavailable(pipe, "it is no regular file");
  expect_unavailable(folder_ / std::string(2000, 'x'), "File name too long");
}

TEST_F(Files, AFileThatIsNotThereIsNamedByItsAbsolutePathAndNothingRunsInstead) {
  const Model model = testing::text_model(R"(<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] y) { y = Abs(x) })");
  const Error e = error_of([&] { Session(model, {.providers = {"./none/such.so?a=b", "reference"}}); });
  EXPECT_EQ(e.code(), ErrorCode::kNotFound);
  EXPECT_THAT(e.message(), HasSubstr((fs::current_path() / "none/such.so").string()));
}

TEST_F(Files, APathThroughALinkIsTheFileTheLinkLeadsTo) {
  fs::create_directories(folder_ / "far/away");
  fs::create_directory_symlink(folder_ / "far/away", folder_ / "near");
  std::ofstream(folder_ / "far/library.so") << "words";
  expect_unavailable(folder_ / "near/../library.so", "it is no ELF file");
}

// A provider whose table and description each test bends.
int created = 0, destroyed = 0;
AshlarSpaceInfo spaces[2];
AshlarProviderInfo info;
AshlarDevice device;
AshlarProvider table;

template <class Function> void stub(Function*& function) { function = reinterpret_cast<Function*>(&std::abort); }

class Tables : public ::testing::Test {
 protected:
  void SetUp() override {
    created = destroyed = 0;
    spaces[0] = {sizeof(AshlarSpaceInfo), 0, "device", 0, 64};
    spaces[1] = {sizeof(AshlarSpaceInfo), 1, "pinned", 0, 4096};
    info = {.struct_size = sizeof(info),
            .space_count = 2,
            .queue_count = 2,
            .features = 0,
            .required_features = ASHLAR_CORE_DEVICES,
            .upload_queue = 1,
            .download_queue = 2,
            .staging_space = 2,
            .spaces = spaces,
            .space_stride = sizeof(AshlarSpaceInfo),
            .device = "a device for tests",
            .rates = {},
            .attributes = nullptr,
            .attribute_count = 0};
    device = {};
    device.struct_size = sizeof(device);
    stub(device.allocate), stub(device.free), stub(device.queue_create), stub(device.queue_destroy), stub(device.event_create);
    stub(device.event_destroy), stub(device.signal), stub(device.wait), stub(device.synchronize), stub(device.copy), stub(device.drain);
    stub(device.state);
    table = {};
    table.struct_size = sizeof(table);
    table.abi_version = ASHLAR_ABI_VERSION;
    table.abi_layout = ASHLAR_ABI_LAYOUT;
    table.name = "bent";
    table.version = "1.2";
    table.create = [](const AshlarHost*, const AshlarOption*, std::uint32_t, void** instance, AshlarStatus*) -> AshlarCode {
      ++created;
      *instance = &created;
      return ASHLAR_OK;
    };
    table.destroy = [](void*) { ++destroyed; };
    table.describe = [](void*, AshlarProviderInfo* out, AshlarStatus*) -> AshlarCode {
      *out = info;
      return ASHLAR_OK;
    };
    stub(table.verdict), stub(table.prepare), stub(table.release);
    table.device = &device;
    static const bool added =
        (add_provider("bent", [](const AshlarHost*, AshlarStatus*) -> const AshlarProvider* { return &table; }), true);
    ASSERT_TRUE(added);
  }

  static void expect_refused(ErrorCode code, const std::vector<std::string>& words, int made) {
    const Error e = error_of([] { create("bent"); });
    EXPECT_EQ(e.code(), code) << e.what();
    for (const std::string& word : words) EXPECT_THAT(e.message(), HasSubstr(word));
    EXPECT_EQ(e.context().provider, "bent");
    EXPECT_EQ(created, made);
    EXPECT_EQ(destroyed, made);
    created = destroyed = 0;
  }
  static std::string bytes(std::size_t n) { return std::to_string(n) + " bytes"; }
};

TEST_F(Tables, OneInOrderIsTakenAndDestroyedOnce) {
  {
    const auto provider = create("bent");
    EXPECT_EQ(provider->name(), "bent");
    EXPECT_EQ(provider->origin(), "added by the application");
    ASSERT_EQ(provider->description().spaces.size(), 2u);
    EXPECT_EQ(provider->description().spaces[1].alignment, 4096u);
    EXPECT_EQ(destroyed, 0);
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(destroyed, 1);
}

TEST_F(Tables, SizesAreRefusedWithBothNumbers) {
  table.struct_size = sizeof(table) - 8;
  expect_refused(ErrorCode::kUnsupported, {bytes(sizeof(table) - 8), std::to_string(sizeof(table))}, 0);
  table.struct_size = sizeof(table);
  device.struct_size = sizeof(device) - 8;
  expect_refused(ErrorCode::kUnsupported, {"device table of " + bytes(sizeof(device) - 8), std::to_string(sizeof(device))}, 0);
  device.struct_size = sizeof(device);
  info.struct_size = sizeof(info) - 8;
  expect_refused(ErrorCode::kInternal, {bytes(sizeof(info) - 8), std::to_string(sizeof(info))}, 1);
  info.struct_size = sizeof(info);
  spaces[1].struct_size = 8;
  expect_refused(ErrorCode::kInternal, {"a memory space in 8 bytes", std::to_string(sizeof(AshlarSpaceInfo))}, 1);
}

TEST_F(Tables, AMissingFunctionIsNamedAndNothingIsMade) {
  device.copy = nullptr;
  expect_refused(ErrorCode::kInternal, {"lacks copy"}, 0);
  stub(device.copy);
  table.release = nullptr;
  expect_refused(ErrorCode::kInternal, {"lacks release"}, 0);
}

TEST_F(Tables, ADescriptionThatCannotBeRightIsRefusedAndTheInstanceDestroyed) {
  const AshlarProviderInfo good = info;
  const auto bent = [&](auto bend, const std::vector<std::string>& words) {
    info = good;
    spaces[0].name = "device";
    spaces[0].alignment = 64;
    bend();
    expect_refused(ErrorCode::kInternal, words, 1);
  };
  bent([] { spaces[0].name = "pinned"; }, {"two memory spaces named 'pinned'"});
  bent([] { spaces[0].name = ""; }, {"without a name"});
  bent([] { spaces[0].alignment = 96; }, {"96", "power of two"});
  bent([] { spaces[0].alignment = 32; }, {"32", "from 64 up"});
  bent([] { info.staging_space = 1; }, {"staging space 1"});
  bent([] { info.staging_space = 3; }, {"staging space 3"});
  bent([] { info.upload_queue = 0; }, {"queue 0 of 2"});
  bent([] { info.download_queue = 3; }, {"queue 3 of 2"});
  bent([] { info.space_stride = 8; }, {"cannot be read"});
  bent([] { info.spaces = nullptr; }, {"cannot be read"});
  bent([] { info.queue_count = 0; }, {"without queues"});
  bent([] { info.features = ASHLAR_DEVICE_CAPTURE; }, {"capture"});
  bent([] { info.rates.copy_ns = -1; }, {"a rate of -1"});
  bent([] { info.rates.bytes_per_second = NAN; }, {"a rate of"});
  bent([] { info.attribute_count = 1; }, {"attributes that cannot be read"});
  bent([] { info.features = ASHLAR_DEVICE_TIMES; }, {"event_time"});
  info = good;
  table.device = nullptr;
  expect_refused(ErrorCode::kInternal, {"no device"}, 1);
}

TEST_F(Tables, AVerdictThatCannotBeRightIsRefused) {
  static AshlarVerdict answer;
  table.verdict = [](void*, const AshlarGraph*, std::uint32_t, AshlarVerdict* out, AshlarStatus*) -> AshlarCode {
    *out = answer;
    return ASHLAR_OK;
  };
  const auto provider = create("bent");
  const auto g = std::make_shared<graph::Graph>();
  const graph::ValueId x = g->add_value("x"), y = g->add_value("y");
  graph::Node& node = g->nodes.emplace_back();
  node.id = "Relu_0", node.op_type = "Relu";
  node.inputs = {x, graph::kNone}, node.outputs = {y};
  const partition::GraphView view(g);
  answer = {};
  answer.cost = {1, 2, 3, 4};
  answer.guards[answer.guard_count++] = {0, 1, 7};
  const partition::Answer taken = provider->verdict(view, 0);
  EXPECT_EQ(taken.cost.nanoseconds, 4);
  EXPECT_EQ(taken.guards.at(0).most, 7);
  const auto refused = [&](AshlarVerdict wrong, const char* word) {
    answer = wrong;
    const Error e = error_of([&] { provider->verdict(view, 0); });
    EXPECT_EQ(e.code(), ErrorCode::kInternal);
    EXPECT_THAT(e.message(), HasSubstr(word));
    EXPECT_EQ(e.context().node, "Relu_0");
  };
  AshlarVerdict wrong{};
  wrong.code = ASHLAR_RANK;
  refused(wrong, "without a known code and a reason");
  wrong.code = 77;
  std::strcpy(wrong.reason, "because");
  refused(wrong, "without a known code and a reason");
  wrong = {};
  wrong.cost.bytes = -5;
  refused(wrong, "at a cost of -5");
  wrong.cost.bytes = NAN;
  refused(wrong, "at a cost of");
  wrong = {};
  wrong.guard_count = ASHLAR_MAX_GUARDS + 1;
  refused(wrong, "5 guards");
  wrong.guard_count = 1;
  wrong.guards[0] = {1, 0, 5};
  refused(wrong, "dimension 0 of input 1, which the node has not");
  wrong.guards[0] = {0, ASHLAR_MAX_RANK, 5};
  refused(wrong, "dimension 16 of input 0");
}

TEST_F(Tables, FeaturesTheCoreLacksAreRefusedWithBothNumbersAndByName) {
  info.required_features = 0x80000001u;
  expect_refused(ErrorCode::kUnsupported, {"0x80000001", "0x00000007", "feature 31 missing"}, 1);
}

}  // namespace
}  // namespace ashlar
