// SPDX-License-Identifier: Apache-2.0
// What a provider says before it runs anything: version, options, describe.
#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include <ashlar/error.h>
#include <ashlar/provider/failure.h>

#include "context.h"
#include "device.h"

namespace ashlar::check {
namespace {

using provider::new_status;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Whether the sentence has the number as a word of its own, decimal or hexadecimal.
bool names(const std::string& sentence, std::uint32_t number) {
  const std::string text = lower(sentence);
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    words.insert(word.starts_with("0x") ? word.substr(2) : word);
    word.clear();
  }
  return words.contains(fmt::format("{}", number)) || words.contains(fmt::format("{:x}", number)) ||
         words.contains(fmt::format("{:08x}", number));
}

/// Asks the entry with another version or layout. It may look at three fields of the host, so the rest is not there.
void ask_entry(const Library& library, const char* what, std::uint32_t own, AshlarHost host, std::uint32_t asked, const Tell& tell) {
  host.struct_size = sizeof host;
  AshlarStatus status = new_status();
  set_doing(fmt::format("ashlar_provider_entry with {} {:x}", what, asked));
  const auto say = [&](const std::string& sentence) { tell(line_of({"version", sentence})); };
  const bool hexadecimal = std::strcmp(what, "layout") == 0;
  const auto shown = [&](std::uint32_t number) { return hexadecimal ? fmt::format("{:08x}", number) : std::to_string(number); };
  if (library.entry()(&host, &status))
    return say(fmt::format("the entry accepts {0} {1} of the border, though it was built for {0} {2}", what, shown(asked), shown(own)));
  const std::string sentence(status.message, strnlen(status.message, sizeof status.message));
  if (!names(sentence, asked) || !names(sentence, own))
    say(fmt::format("the entry refuses {0} {1} of the border without naming both it and its own {0} {2}: '{3}'", what, shown(asked),
                    shown(own), sentence));
  if (status.code != ASHLAR_UNSUPPORTED)
    say(fmt::format("the entry refuses {} {} with code {}, not {}", what, shown(asked), status.code, ASHLAR_UNSUPPORTED));
}

void check_version(Context& context) {
  context.apart("version", [&](const Tell& tell) {
    const Library library(context.target);
    const AshlarProvider& table = table_of(library);
    if (table.abi_version != ASHLAR_ABI_VERSION || table.abi_layout != ASHLAR_ABI_LAYOUT)
      tell(line_of({"version", fmt::format("its table says version {} and layout {:08x}, the entry accepted version {} and layout {:08x}",
                                           table.abi_version, table.abi_layout, ASHLAR_ABI_VERSION, ASHLAR_ABI_LAYOUT)}));
    const Instance instance(table, context.target);  // an entry answers the same before and after
    constexpr std::uint32_t kOther = 77;
    AshlarHost host{};
    host.abi_version = kOther;
    host.abi_layout = ASHLAR_ABI_LAYOUT;
    ask_entry(library, "version", ASHLAR_ABI_VERSION, host, kOther, tell);
    host.abi_version = ASHLAR_ABI_VERSION;
    host.abi_layout = ASHLAR_ABI_LAYOUT ^ 0x5a5a5a5au;
    ask_entry(library, "layout", ASHLAR_ABI_LAYOUT, host, host.abi_layout, tell);
    tell({{"found", fmt::format("version {}, layout {:08x}; another version and another layout were asked for", ASHLAR_ABI_VERSION,
                                ASHLAR_ABI_LAYOUT)}});
  });
}

void check_options(Context& context) {
  context.apart("options", [&](const Tell& tell) {
    constexpr const char* kUnknown = "no_such_option";
    const Library library(context.target);
    Target target = context.target;
    target.options.emplace_back(kUnknown, "1");
    set_doing("create with an option that it cannot know");
    try {
      const Instance instance(table_of(library), target);
      tell(line_of({"options", fmt::format("create takes the option '{}', which it cannot know", kUnknown)}));
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kInvalidArgument)
        tell(line_of({"options",
                      fmt::format("an unknown option is refused with {}, not invalid_argument: '{}'", to_string(e.code()), e.message())}));
      if (e.message().find(kUnknown) == std::string::npos)
        tell(line_of({"options", fmt::format("an unknown option is refused without its name: '{}'", e.message())}));
    }
    tell({{"found", "an option that it cannot know"}});
  });
}

void describe_device(const Device& device, const AshlarProvider& table, const std::function<void(const std::string&)>& say) {
  const AshlarProviderInfo& info = device.info();
  const auto spaces = static_cast<std::uint32_t>(device.spaces().size());
  if (spaces < 2 && info.queue_count == 0) say("it has a device of neither memory nor queues");
  std::set<std::string> names;
  for (std::uint32_t s = 1; s < spaces; ++s) {
    const Device::Space& space = device.spaces()[s];
    if (space.name.empty() || !names.insert(space.name).second) say(fmt::format("space {} has no name of its own: '{}'", s, space.name));
    if (space.alignment < 64 || !std::has_single_bit(space.alignment))
      say(fmt::format("the alignment {} of space '{}' is no power of two of 64 or more", space.alignment, space.name));
  }
  if (info.staging_space >= spaces) say(fmt::format("staging_space is {} of {} spaces", info.staging_space, spaces - 1));
  else if (!device.accessible(info.staging_space))
    say(fmt::format("the staging space '{}' is not host-accessible", device.spaces()[info.staging_space].name));
  for (const auto& [queue, name] : {std::pair{info.upload_queue, "upload_queue"}, {info.download_queue, "download_queue"}})
    if (queue == 0 || queue > info.queue_count) say(fmt::format("{} is {} of {} queues", name, queue, info.queue_count));
  const AshlarDevice& d = *table.device;
  const std::pair<const char*, bool> functions[] = {{"allocate", d.allocate != nullptr},
                                                    {"free", d.free != nullptr},
                                                    {"queue_create", d.queue_create != nullptr},
                                                    {"queue_destroy", d.queue_destroy != nullptr},
                                                    {"event_create", d.event_create != nullptr},
                                                    {"event_destroy", d.event_destroy != nullptr},
                                                    {"signal", d.signal != nullptr},
                                                    {"wait", d.wait != nullptr},
                                                    {"synchronize", d.synchronize != nullptr},
                                                    {"event_time", d.event_time != nullptr},
                                                    {"copy", d.copy != nullptr},
                                                    {"drain", d.drain != nullptr},
                                                    {"capture_begin", d.capture_begin != nullptr},
                                                    {"capture_end", d.capture_end != nullptr},
                                                    {"replay", d.replay != nullptr},
                                                    {"recording_destroy", d.recording_destroy != nullptr},
                                                    {"state", d.state != nullptr}};
  for (const auto& [name, there] : functions)
    if (!there) say(fmt::format("the device has no function {}", name));
  if (d.state) {
    try {
      device.state();
    } catch (const Error& e) {
      say(fmt::format("a new device reports that it cannot go on: {}", e.message()));
    }
  }
}

void check_describe(Context& context) {
  context.apart("describe", [&](const Tell& tell) {
    const auto say = [&](const std::string& sentence) { tell(line_of({"describe", sentence})); };
    const Library library(context.target);
    const AshlarProvider& table = table_of(library);
    if (!table.name || !*table.name) say("it has no name");
    if (!table.version || !*table.version) say("it has no version");
    if (table.struct_size < sizeof(AshlarProvider))
      say(fmt::format("its table has {} bytes of {}", table.struct_size, sizeof(AshlarProvider)));
    if (!table.verdict || !table.prepare || !table.release) return say("verdict, prepare or release is missing");
    const Instance instance(table, context.target);
    const AshlarProviderInfo info = instance.info();
    const std::string sentence = info.device ? info.device : "";
    if (sentence.empty()) say("it says in no sentence what it runs on");
    if (!table.device && (info.space_count > 0 || info.queue_count > 0)) say("it has spaces or queues, but no device functions");
    constexpr std::uint32_t kFeatures = ASHLAR_DEVICE_CAPTURE | ASHLAR_DEVICE_TIMES;
    if ((info.features & ~kFeatures) != 0) say(fmt::format("it has features that are none: {:x}", info.features & ~kFeatures));
    if ((info.required_features & ~static_cast<std::uint32_t>(ASHLAR_CORE_FEATURES)) != 0)
      say(fmt::format("it requires features that no runtime of this version has: {:x}", info.required_features));
    if (!table.device) return tell({{"found", sentence + ": works in host memory"}});
    const Device device(table, instance.get());
    describe_device(device, table, say);
    std::string spaces;
    for (std::size_t s = 1; s < device.spaces().size(); ++s)
      spaces += fmt::format("{}{}{}", s > 1 ? ", " : "", device.spaces()[s].name,
                            device.spaces()[s].total_bytes == 0 ? "" : fmt::format(" of {} MiB", device.spaces()[s].total_bytes >> 20));
    tell({{"found", fmt::format("{}: {}; {} queues", sentence, spaces, info.queue_count)}});
  });
}

}  // namespace

void check_border(Context& context) {
  if (context.wanted("version")) check_version(context);
  if (context.wanted("options")) check_options(context);
  if (context.wanted("describe")) check_describe(context);
}

}  // namespace ashlar::check
