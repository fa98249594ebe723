#!/usr/bin/env bash
# Installs Ashlar and builds projects against it. ctest calls it, the install first.
#
# Usage: run.sh install CMAKE BUILD_DIR WORK_DIR
#          installs BUILD_DIR, then moves the prefix to WORK_DIR/moved and checks that nothing there names the build or source tree
#        run.sh project CMAKE WORK_DIR PROJECT_DIR shared|static PROGRAM [ARGUMENT...]
#          configures and builds the project against that prefix and runs its PROGRAM with the arguments
#        run.sh provider CMAKE WORK_DIR PROJECT_DIR LIBRARY [ARGUMENT...]
#          configures and builds the project, a provider library, against the headers of that prefix and runs the command there with the
#          arguments, the library the first of its providers
# Environment: EXPECTED_OUTPUT   what the program must print among the rest
# Exit status: 0 passed, 77 skipped (a package is missing; the reason is printed), else failed.
set -euo pipefail
fail() { echo "failed: $*" >&2; exit 1; }
[ $# -ge 4 ] || { sed -n '4,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 1; }
mode=$1 cmake=$2
shift 2

case $mode in
  install)
    build=$1 work=$2
    source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    rm -rf "$work"
    mkdir -p "$work"
    "$cmake" --install "$build" --prefix "$work/prefix" > "$work/install.log"
    mv "$work/prefix" "$work/moved"
    for place in "$build" "$source_dir" "$work/prefix"; do
      found=$(grep -rlF "$place/" "$work/moved/lib"*/cmake "$work/moved/lib"/*/cmake "$work/moved/include" 2> /dev/null || true)
      [ -z "$found" ] || fail "these installed files name $place: $found"
    done
    "$work/moved/bin/ashlar" inspect "$source_dir/tests/models/digits.onnx" > /dev/null || fail "the installed command does not run"
    ;;
  project)
    work=$1 project=$2 kind=$3 run=$4
    shift 4
    build=$work/$(basename "$project")-$kind
    rm -rf "$build"
    mkdir -p "$build"
    if ! "$cmake" -S "$project" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DASHLAR_KIND=$kind" "-DCMAKE_PREFIX_PATH=$work/moved" \
      > "$build.log" 2>&1; then
      reason=$(sed -n 's/^ *missing: //p' "$build.log")
      [ -n "$reason" ] || { cat "$build.log" >&2; fail "configuring $project"; }
      echo "skipped: $reason"
      exit 77
    fi
    "$cmake" --build "$build" || fail "building $project with the $kind library"
    case $kind in
      shared) readelf -dW "$build/$run" | grep -q 'NEEDED.*\[libashlar\.so\.0\]' || fail "$run does not load libashlar.so.0" ;;
      static) ! readelf -dW "$build/$run" | grep -q 'NEEDED.*libashlar' || fail "$run loads a shared Ashlar" ;;
      *) fail "unknown kind $kind" ;;
    esac
    readelf -lW "$build/$run" | grep -q 'GNU_STACK.* RW ' || fail "$run has an executable stack"
    said=$("$build/$run" "$@") || fail "$run ended with status $?"
    echo "$said"
    [[ $said == *"${EXPECTED_OUTPUT:-}"* ]] || fail "the output is not '$EXPECTED_OUTPUT'"
    ;;
  provider)
    work=$1 project=$2 library=$3
    shift 3
    build=$work/$(basename "$project")
    rm -rf "$build"
    mkdir -p "$build"
    "$cmake" -S "$project" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$work/moved" > "$build.log" 2>&1 \
      || { cat "$build.log" >&2; fail "configuring $project"; }
    "$cmake" --build "$build" || fail "building $project"
    ! readelf -dW "$build/$library" | grep -q 'NEEDED.*libashlar' || fail "$library loads Ashlar"
    readelf -lW "$build/$library" | grep -q 'GNU_STACK.* RW ' || fail "$library has an executable stack"
    # What the standard library's templates made is weak.
    visible=$(nm -D --defined-only "$build/$library" | awk '$2 != "W" && $2 != "V" { print $2, $3 }')
    [ "$visible" = "T ashlar_provider_entry" ] || fail "$library exports $visible"
    said=$("$work/moved/bin/ashlar" "$@" --providers "$build/$library,reference") || fail "the command ended with status $?"
    echo "$said"
    [[ $said == *"${EXPECTED_OUTPUT:-}"* ]] || fail "the output is not '$EXPECTED_OUTPUT'"
    ;;
  *) fail "unknown mode $mode" ;;
esac
