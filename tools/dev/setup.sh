# shellcheck shell=bash disable=SC2034  # the variables are for the script that sources this
# Sourced by tools/quickstart and tools/check: what both need before they build. Sets root, cache, jobs, cmake_command and ctest_command.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/cmake/dependencies.pins"
cache=${ASHLAR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ashlar}
program=$(basename "$0")

say() { printf '%s: %s\n' "$program" "$*"; }
die() { printf '%s: error: %s\n' "$program" "$*" >&2; exit 1; }

# The processors this process may use: its affinity mask, and the control group's quota where there is one.
allowed_processors() {
  local count quota period
  count=$(nproc)
  if read -r quota period 2> /dev/null < /sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
    local limit=$(((quota + period - 1) / period))
    [ "$limit" -ge "$count" ] || count=$limit
  fi
  echo "$count"
}
jobs=${ASHLAR_JOBS:-$(allowed_processors)}
export ASHLAR_CACHE=$cache ASHLAR_JOBS=$jobs CMAKE_BUILD_PARALLEL_LEVEL=$jobs
# Compiled objects are kept outside the checkout, and found again by a clone at another path.
export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache} CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

# need_packages PACKAGE...: installs the Debian packages that are missing, or names them and stops.
need_packages() {
  command -v dpkg-query > /dev/null || { say "no dpkg on this machine, so the packages of cmake/dependencies.pins are taken to be there"; return; }
  local package missing=() prefix=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo > /dev/null || ! sudo -n true 2> /dev/null; then
      die "these packages are missing: ${missing[*]}
Installing them needs root and there is no sudo without a password here. Run this as root, then start again:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    prefix=(sudo -n)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]} (about 2 minutes)"
  mkdir -p "$cache"
  local log=$cache/apt.log install=("${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
  timeout 600 "${install[@]}" update < /dev/null > "$log" 2>&1 || say "apt-get update failed; going on with the package lists that are here"
  if ! timeout 1800 "${install[@]}" install -y --no-install-recommends "${missing[@]}" < /dev/null >> "$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "these packages are missing and could not be installed (log: $log): ${missing[*]}"
  fi
}

need_dependencies() {
  local prefix
  while read -r prefix; do
    [ -d "$prefix" ] && continue
    say "building ONNX, protobuf and oneDNN into $cache (about 25 minutes on two cores, once per machine)"
    break
  done < <("$root/tools/dependencies" --prefixes)
  "$root/tools/dependencies" > /dev/null || die "a dependency could not be built"
  cmake_command=$("$root/tools/dependencies" --cmake) || die "there is no CMake 3.26 or newer"
  ctest_command=$(dirname "$cmake_command")/ctest
}

# build PRESET TIME [TARGET...]: configures and builds into build/PRESET.
build() {
  local preset=$1 time=$2 started=$SECONDS
  shift 2
  say "building build/$preset with $jobs jobs ($time)"
  (cd "$root" && "$cmake_command" --preset "$preset" > "$cache/configure-$preset.log" 2>&1) \
    || { tail -n 30 "$cache/configure-$preset.log" >&2; die "configuring build/$preset failed"; }
  "$cmake_command" --build "$root/build/$preset" --parallel "$jobs" ${1:+--target "$@"} || die "building build/$preset failed"
  say "built build/$preset in $((SECONDS - started)) s"
}
