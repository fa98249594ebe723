// SPDX-License-Identifier: Apache-2.0
// Providers by path (tests/provider/libraries), by name, and added by the application: what is refused, with which words, and what is let go.
#include <dlfcn.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include <ashlar/ashlar.h>
#include <ashlar/providers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "partition/provider_entry.h"
#include "tests/support/text_model.h"

extern "C" const AshlarProvider* ashlar_provider_entry_reference(const AshlarHost*, AshlarStatus*);

namespace ashlar {
namespace {

using partition::ProviderSpec;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::string& libraries() {
  static const std::string folder = std::filesystem::canonical("/proc/self/exe").parent_path() / "provider_libraries";
  return folder;
}
std::string library(const std::string& name) { return libraries() + "/" + name + ".so"; }

/// Whether the process has the library in memory.
bool is_loaded(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (handle) dlclose(handle);
  return handle != nullptr;
}

std::string hex(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%08x", number);
  return text;
}

Model relu_model() {
  return testing::text_model(R"(<ir_version: 10, opset_import: ["" : 21]>
g (float[4] x) => (float[4] y) { r = Relu(x)  y = Neg(r) })");
}

/// y of relu_model for x = -1, 2, -3, 4.
std::vector<float> result(const Session& session) {
  const NamedValues outputs = session.run({{"x", Tensor::of<float>({4}, {-1, 2, -3, 4})}});
  const auto y = outputs[0].second.tensor().span<float>();
  return {y.begin(), y.end()};
}

/// What environment_json says of one provider.
nlohmann::json report(const std::string& spec) { return nlohmann::json::parse(environment_json({spec}))["providers"].at(0); }

/// A session that may also run everything on the reference provider fails instead, and doctor has its sentence.
Error refusal(const std::string& spec) {
  const Error error = error_of([&] { Session(relu_model(), {.providers = {spec, "reference"}}); });
  const nlohmann::json said = report(spec);
  EXPECT_EQ(said["available"], false) << said;
  EXPECT_EQ(said["reason"], error.message());
  EXPECT_EQ(said["code"], to_string(error.code()));
  return error;
}

struct Refused {
  const char* library;
  ErrorCode code;
  std::vector<std::string> says;
  const char* options = "";
};

TEST(Loading, AProviderThatCannotBeHadIsAnErrorThatNamesWhy) {
  const std::vector<Refused> cases = {
      {"no_symbol", ErrorCode::kUnavailable, {library("no_symbol"), "does not export ashlar_provider_entry"}},
      {"version_77", ErrorCode::kUnsupported, {"version 77", "version " + std::to_string(ASHLAR_ABI_VERSION)}},
      {"refuses_core", ErrorCode::kUnsupported, {"version 78", "version " + std::to_string(ASHLAR_ABI_VERSION)}},
      {"other_layout", ErrorCode::kUnsupported, {hex(~ASHLAR_ABI_LAYOUT), hex(ASHLAR_ABI_LAYOUT)}},
      {"no_prepare", ErrorCode::kInternal, {"lacks prepare"}},
      {"feature_31", ErrorCode::kUnsupported, {hex(0x80000002), hex(ASHLAR_CORE_FEATURES), "feature 31 missing"}},
      {"unavailable", ErrorCode::kUnavailable, {"needs driver 12.4 or later, found driver 11.8 in /opt/stone/libstone.so.1"}},
      {"idle_device", ErrorCode::kInternal, {"staging space 9"}, "?staging=9"},
      {"idle_device", ErrorCode::kInternal, {"staging space 1"}, "?staging=1"},
      {"text", ErrorCode::kUnavailable, {library("text"), "cannot be loaded"}},
      {"needs_gone", ErrorCode::kUnavailable, {library("needs_gone"), "libashlar_gone.so"}},
      {"nowhere", ErrorCode::kNotFound, {"there is no provider library " + library("nowhere")}},
  };
  for (const Refused& c : cases) {
    SCOPED_TRACE(c.library);
    const Error error = refusal(library(c.library) + c.options);
    EXPECT_EQ(error.code(), c.code) << error.what();
    for (const std::string& word : c.says) EXPECT_THAT(error.message(), HasSubstr(word));
    EXPECT_EQ(error.context().file, library(c.library));
    EXPECT_FALSE(error.context().provider.empty());
    EXPECT_FALSE(is_loaded(library(c.library)));
  }
}

TEST(Loading, AFolderIsNoLibrary) {
  const Error error = refusal(libraries());
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr(libraries()));
}

TEST(Loading, APathIsTakenFromTheCurrentFolderAlone) {
  const std::string here = std::filesystem::current_path() / "libm.so.6.so";
  const Error error = refusal("libm.so.6.so");
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(error.context().file, here);
  EXPECT_EQ(error_of([] { Session(relu_model(), {.providers = {"libm.so.6"}}); }).code(), ErrorCode::kNotFound);
}

TEST(Loading, DoctorKnowsWhatARefusedLibraryIs) {
  const nlohmann::json version = report(library("version_77"));
  EXPECT_EQ(version["border"]["version"], 77);
  EXPECT_EQ(version["border"]["layout"], hex(ASHLAR_ABI_LAYOUT));
  EXPECT_EQ(report(library("other_layout"))["border"]["layout"], hex(~ASHLAR_ABI_LAYOUT));
  const nlohmann::json unavailable = report(library("unavailable"));
  EXPECT_EQ(unavailable["version"], "1.2.3");
  EXPECT_EQ(unavailable["origin"], library("unavailable"));
  EXPECT_FALSE(report(library("needs_gone")).contains("border"));
}

TEST(Loading, RunsUnloadsAndLoadsAgain) {
  const std::string path = library("works");
  const Model model = relu_model();
  for (const float scale : {3.0f, 2.0f}) {
    SCOPED_TRACE(scale);
    ASSERT_FALSE(is_loaded(path));
    {
      const Session session(model, {.providers = {path + "?scale=" + std::to_string(scale), "reference"}});
      EXPECT_TRUE(is_loaded(path));
      ASSERT_EQ(session.placement().nodes.size(), 2u);
      EXPECT_EQ(session.placement().nodes[0].provider, "works");
      EXPECT_EQ(session.placement().nodes[1].provider, "reference");
      EXPECT_THAT(result(session), ElementsAre(0, -2 * scale, 0, -4 * scale));
    }
    EXPECT_FALSE(is_loaded(path));
  }
}

TEST(Loading, SessionsHaveInstancesOfTheirOwnAndTheLastUnloads) {
  const std::string path = library("works");
  const Model model = relu_model();
  auto three = std::make_unique<Session>(model, SessionOptions{.providers = {path + "?scale=3", "reference"}});
  auto five = std::make_unique<Session>(model, SessionOptions{.providers = {path + "?scale=5", "reference"}});
  EXPECT_THAT(result(*three), ElementsAre(0, -6, 0, -12));
  EXPECT_THAT(result(*five), ElementsAre(0, -10, 0, -20));
  three.reset();
  EXPECT_TRUE(is_loaded(path));
  EXPECT_THAT(result(*five), ElementsAre(0, -10, 0, -20));
  five.reset();
  EXPECT_FALSE(is_loaded(path));
}

TEST(Loading, ARunOutlivesItsSessionWithItsLibrary) {
  const std::string path = library("works");
  {
    auto session = std::make_unique<Session>(relu_model(), SessionOptions{.providers = {path, "reference"}});
    ashlar::Run run = session->prepare();
    session.reset();
    run.bind_input("x", Tensor::of<float>({4}, {-1, 2, -3, 4}));
    run();
    EXPECT_EQ(run.output("y").tensor().span<float>()[3], -4);
    EXPECT_TRUE(is_loaded(path));
  }
  EXPECT_FALSE(is_loaded(path));
}

TEST(Loading, OptionsReachTheProviderAndUnknownOnesAreRefused) {
  const Error error = refusal(library("works") + "?colour=red");
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("'colour'"));
  EXPECT_THAT(error.message(), HasSubstr("scale"));
  EXPECT_EQ(error.context().file, library("works"));
}

TEST(Loading, OneProviderTwiceIsRefused) {
  const std::string path = library("works");
  const Error error = error_of([&] { Session(relu_model(), {.providers = {path, path + "?scale=2"}}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("'works'"));
}

TEST(Loading, EnvironmentDescribesALibrary) {
  const nlohmann::json said = report(library("works"));
  EXPECT_EQ(said["name"], "works");
  EXPECT_EQ(said["version"], "1.2.3");
  EXPECT_EQ(said["origin"], library("works"));
  EXPECT_EQ(said["border"]["version"], ASHLAR_ABI_VERSION);
  EXPECT_EQ(said["border"]["layout"], hex(ASHLAR_ABI_LAYOUT));
  EXPECT_EQ(said["available"], true);
  EXPECT_EQ(said["device"], "host");
  EXPECT_EQ(said["queues"], 0);
  EXPECT_TRUE(said["spaces"].empty() && said["features"].empty() && said["required_features"].empty()) << said;
  EXPECT_FALSE(is_loaded(library("works")));
}

TEST(Loading, EnvironmentDescribesADevice) {
  const nlohmann::json said = report(library("idle_device"));
  EXPECT_EQ(said["available"], true);
  EXPECT_EQ(said["device"], "an idle device, driver 4.5");
  const nlohmann::json spaces = {{{"name", "device"}, {"bytes", 1610612736}, {"host_accessible", false}, {"staging", false}},
                                 {{"name", "pinned"}, {"bytes", nullptr}, {"host_accessible", true}, {"staging", true}}};
  EXPECT_EQ(said["spaces"], spaces);
  EXPECT_EQ(said["queues"], 3);
  EXPECT_EQ(said["upload_queue"], 2);
  EXPECT_EQ(said["download_queue"], 3);
  EXPECT_THAT(said["features"], ElementsAre("capture", "timed events"));
  EXPECT_THAT(said["required_features"], ElementsAre("devices"));
}

TEST(ProvidersByName, AnUnknownNameIsAnErrorWithTheNearest) {
  for (const Error& error :
       {error_of([] { Session(relu_model(), {.providers = {"referense"}}); }), error_of([] { report("referense"); })}) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.message(), HasSubstr("'referense'; did you mean 'reference'?"));
  }
}

TEST(ProvidersByName, WhatTheApplicationAddsIsAskedForByItsName) {
  add_provider("loading_added", &ashlar_provider_entry_reference);
  EXPECT_THAT(provider_names(), Contains("loading_added"));
  const Session session(relu_model(), {.providers = {"loading_added"}});
  EXPECT_THAT(result(session), ElementsAre(0, -2, 0, -4));
  EXPECT_EQ(report("loading_added")["origin"], "added by the application");
  EXPECT_EQ(report("reference")["origin"], "built in");
  const Error error = error_of([] { add_provider("loading_added", &ashlar_provider_entry_reference); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("'loading_added': the name is taken"));
}

TEST(ProvidersByName, WhatCannotBeAddedIsRefused) {
  const std::vector<std::string> before = provider_names();
  for (const char* name : {"", "a?b", "a,b", "a=b", "a&b", "folder/a", "a.so"}) {
    const Error error = error_of([&] { add_provider(name, &ashlar_provider_entry_reference); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << name;
    EXPECT_THAT(error.message(), HasSubstr("'" + std::string(name) + "': that is no name"));
  }
  EXPECT_THAT(error_of([] { add_provider("reference", &ashlar_provider_entry_reference); }).message(), HasSubstr("the name is taken"));
  EXPECT_THAT(error_of([] { add_provider("loading_empty", nullptr); }).message(), HasSubstr("no entry function"));
  EXPECT_EQ(provider_names(), before);
}

TEST(ProvidersByName, ASpecIsANameOrAPathAndOptions) {
  const ProviderSpec name = ProviderSpec::parse("stone?device=1&path=/a/b.so&empty=&sum=1=1");
  EXPECT_EQ(name.name, "stone");
  EXPECT_FALSE(name.is_path);
  EXPECT_THAT(name.options, ElementsAre(Pair("device", "1"), Pair("path", "/a/b.so"), Pair("empty", ""), Pair("sum", "1=1")));
  for (const char* path : {"./stone", "stone.so", "/stone.so?device=1"}) EXPECT_TRUE(ProviderSpec::parse(path).is_path) << path;
  for (const char* plain : {"stone", "stone.so.1", "stone?library=./stone.so"}) EXPECT_FALSE(ProviderSpec::parse(plain).is_path) << plain;
}

TEST(ProvidersByName, ASpecThatCannotBeReadIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "it has no name"},
      {"?a=1", "it has no name"},
      {"stone?", "'' is no option"},
      {"stone?a", "'a' is no option"},
      {"stone?=1", "'=1' is no option"},
      {"stone?a=1&", "'' is no option"},
      {"stone?a=1&&b=2", "'' is no option"},
      {"stone?a=1&b=2&a=3", "option 'a' is given twice"},
  };
  for (const auto& [spec, says] : cases) {
    SCOPED_TRACE(spec);
    for (const Error& error : {error_of([&] { ProviderSpec::parse(spec); }), error_of([&] { report(spec); })}) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.message(), HasSubstr("provider '" + spec + "': " + says));
    }
  }
}

}  // namespace
}  // namespace ashlar
