// SPDX-License-Identifier: Apache-2.0
#include "partition/library.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

namespace ashlar::partition {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#else
constexpr std::uint16_t kMachine = EM_NONE;  // left to the loader
#endif

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "AArch64";
    case EM_386: return "x86";
    case EM_ARM: return "Arm";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "PowerPC";
    default: return "machine " + std::to_string(machine) + " of the ELF numbering";
  }
}

bool read(std::ifstream& file, std::uint64_t at, void* to, std::size_t bytes) {
  file.seekg(static_cast<std::streamoff>(at));
  return static_cast<bool>(file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes)));
}

std::string cut_short(std::uint64_t size, std::uint64_t end) {
  return "it ends at byte " + std::to_string(size) + ", its contents at byte " + std::to_string(end);
}

}  // namespace

std::string why_not_loadable(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return "it is a directory";
  if (!std::filesystem::is_regular_file(status)) return error ? error.message() : "it is no regular file";
  const std::uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return "it cannot be read";

  unsigned char ident[EI_NIDENT];
  if (!read(file, 0, ident, sizeof(ident)) || std::memcmp(ident, ELFMAG, SELFMAG) != 0) return "it is no ELF file";
  constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (ident[EI_CLASS] != kClass)
    return std::string("it is built for ") + (ident[EI_CLASS] == ELFCLASS64 ? "64" : "32") + " bits, this process has " +
           std::to_string(sizeof(void*) * 8);
  constexpr unsigned char kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (ident[EI_DATA] != kOrder) return "it is built for another order of bytes";
  ElfW(Ehdr) header;
  if (!read(file, 0, &header, sizeof(header))) return cut_short(size, sizeof(header));
  if (kMachine != EM_NONE && header.e_machine != kMachine)
    return "it is built for " + machine_name(header.e_machine) + ", this process is " + machine_name(kMachine);
  if (header.e_type != ET_DYN) return "it is no shared library";
  if (header.e_phentsize != sizeof(ElfW(Phdr))) return "its program headers have " + std::to_string(header.e_phentsize) + " bytes each";

  std::vector<ElfW(Phdr)> segments(header.e_phnum);
  const std::uint64_t table_bytes = segments.size() * sizeof(ElfW(Phdr));
  if (header.e_phoff > size || table_bytes > size - header.e_phoff) return cut_short(size, header.e_phoff + table_bytes);
  if (!segments.empty() && !read(file, header.e_phoff, segments.data(), table_bytes)) return "it cannot be read";
  std::uint64_t end = 0;
  for (const ElfW(Phdr) & segment : segments)
    if (segment.p_type == PT_LOAD) end = std::max<std::uint64_t>(end, std::uint64_t{segment.p_offset} + segment.p_filesz);
  return end > size ? cut_short(size, end) : "";
}

}  // namespace ashlar::partition
