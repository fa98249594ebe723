// SPDX-License-Identifier: Apache-2.0
// What is checked: a provider library by its path, or by its name a provider that is linked into the program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ashlar/provider/abi.h>

namespace ashlar::check {

/// NAME_OR_PATH?option=value&option=value, as include/ashlar/providers.h has it.
struct Target {
  std::string text;  ///< all of it, as a session takes it
  std::string name;  ///< what stands before the options
  std::vector<std::pair<std::string, std::string>> options;

  bool is_path() const;
  /// The same options after another name.
  std::string spec(const std::string& other_name) const;
};
/// Throws Error (kInvalidArgument) for an empty name or an option without '='.
Target parse_target(const std::string& text);

/// A target's entry function; a library is open as long as this lives.
class Library {
 public:
  /// Throws Error (kNotFound, kUnavailable): no such name, no such file, or a file that cannot be loaded.
  explicit Library(const Target& target);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  AshlarProviderEntry entry() const { return entry_; }

 private:
  void* handle_ = nullptr;
  AshlarProviderEntry entry_ = nullptr;
};

/// Makes a provider that the program links known by a name, here and to sessions.
void add_linked_provider(const std::string& name, AshlarProviderEntry entry);

/// A host that offers nothing but its versions: what an entry function may look at, and what a provider may do without a session.
AshlarHost bare_host();

/// An instance of the target, made through the border.
class Instance {
 public:
  /// Throws Error with the provider's code and sentence.
  explicit Instance(const AshlarProvider& table, const Target& target);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  const AshlarProvider& table() const { return table_; }
  void* get() const { return instance_; }
  /// Throws Error.
  AshlarProviderInfo info() const;

 private:
  const AshlarProvider& table_;
  AshlarHost host_ = bare_host();
  void* instance_ = nullptr;
};

/// The entry's table for this version of the border. Throws Error with the entry's sentence.
const AshlarProvider& table_of(const Library& library);

/// The Error of a status.
[[noreturn]] void raise(AshlarCode code, const AshlarStatus& status);

}  // namespace ashlar::check
