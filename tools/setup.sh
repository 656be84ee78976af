#!/bin/sh
# Creates .venv, installs the locked packages from PyPI and builds this package into it. Two stamps
# in .venv record completed steps, which are skipped. Called by the Makefile, from the root.
# PYTHON selects the Python, ROS the distribution of the wheels (jazzy or kilted); without them an
# existing .venv keeps its own.
set -eu

venv=.venv
lock=requirements.lock
supported="3.10 to 3.14"

say() { printf '%s\n' "$*"; }
fail() {
    printf '\nnextscale: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

# version PYTHON: prints X.Y, or nothing if PYTHON does not run (a pyenv shim, for example).
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
is_supported() { case "$1" in 3.10 | 3.11 | 3.12 | 3.13 | 3.14) return 0 ;; *) return 1 ;; esac; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        found=$(version "$PYTHON")
        is_supported "$found" && return
        fail "PYTHON=$PYTHON is ${found:-not a working Python}; Python $supported is needed." \
            "ROS 2 comes from PyPI wheels here, and they are tried with these versions only."
    fi
    seen=""
    for PYTHON in python3.12 python3.11 python3.13 python3.14 python3.10 python3; do
        found=$(version "$PYTHON")
        is_supported "$found" && return
        [ -z "$found" ] || seen="$seen $PYTHON ($found)"
    done
    fail "no Python $supported found;${seen:- no other Python either}${seen:+ only}." \
        "ROS 2 comes from PyPI wheels here, and they are tried with these versions only." \
        "Debian 12 and newer, Ubuntu 22.04 and newer:  sudo apt install python3 python3-venv python3-dev g++" \
        "elsewhere: install one (pyenv, for example), then  make run PYTHON=/path/to/python3.11"
}

check_machine() {
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail \
        "the locked packages are for Linux on x86_64, this is $(uname -s) on $(uname -m)." \
        "The core works without ROS: NEXTSCALE_NO_ROS=1 pip install ."
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || fail \
        "Python $found has no venv module." "sudo apt install python$found-venv"
    include=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
    [ -f "$include/Python.h" ] || fail \
        "Python $found has no header files ($include/Python.h), which the messages need." \
        "sudo apt install python$found-dev"
    command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
        command -v clang++ >/dev/null || fail \
        "no C++ compiler found, which the ROS messages need." "sudo apt install g++"
}

hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
stamp_is() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# The wheels of one ROS distribution are never installed over those of another.
made_for=$(cat $venv/.ros 2>/dev/null || echo jazzy)
ros=${ROS:-$made_for}
case "$ros" in jazzy | kilted) ;; *) fail "ROS=$ros: the wheels on PyPI are those of jazzy and kilted." ;; esac

# An environment that was moved, lost its Python or was left incomplete is created again.
usable() {
    $venv/bin/python -c '' 2>/dev/null &&
        { [ -f $venv/.packages ] || $venv/bin/python -m pip --version >/dev/null 2>&1; }
}
if [ -d $venv ] && ! usable; then
    say "$venv cannot be used, creating it again"
    rm -rf $venv
fi
if [ -d $venv ] && [ "$ros" != "$made_for" ]; then
    say "$venv has the wheels of ROS 2 $made_for, creating it again with those of $ros"
    PYTHON=${PYTHON:-$($venv/bin/python -c 'import sys; print(getattr(sys, "_base_executable", ""))')}
    rm -rf $venv
fi
if [ -d $venv ]; then
    PYTHON=$venv/bin/python
    found=$(version $PYTHON)
    is_supported "$found" || fail "$venv has Python $found; $supported is needed." "make clean"
else
    find_python
fi

# Torch comes first, so that its kind (with or without GPU libraries) is known from the start.
pins() {
    grep '^torch==' $lock
    if [ "$ros" = jazzy ]; then
        grep -v '^torch==' $lock
    else
        grep -v -E '^(torch==|ros-)' $lock
        cat "requirements-$ros.lock"
    fi
}
# logged KIND LOG REQUIREMENTS -- COMMAND: runs the command and shows its progress.
logged() {
    $venv/bin/python tools/progress.py "$@" || {
        { grep -n -m 1 -A 20 -E 'CMake Error|^ *FAILED:|^ *ERROR:' "$2" || tail -n 30 "$2"; } >&2
        fail "$1: pip failed; its output is in $2."
    }
}

packages=$(pins | sha256sum | cut -d' ' -f1)
if ! stamp_is $venv/.packages "$packages"; then
    check_machine
    say "installing the locked packages into $venv (Python $found, ROS 2 $ros)"
    say "  docs/platforms.md: how to omit the GPU libraries, two thirds of the download"
    [ -d $venv ] || "$PYTHON" -m venv $venv
    say "$ros" >$venv/.ros
    pins >$venv/requirements.txt
    $venv/bin/python -m pip install --quiet --disable-pip-version-check "$(sed -n "s, *#.*,,; /^pip==/p" $lock)"
    logged packages $venv/install.log $venv/requirements.txt -- \
        $venv/bin/python -m pip install --disable-pip-version-check --progress-bar raw \
        --requirement $venv/requirements.txt
    say "$packages" >$venv/.packages
    rm -f $venv/.package
    checked=yes
fi

# Python code is used in place; only compiled and copied files have to be built again.
sources=$(hash_of $(find action msg srv interfaces cmake launch config/params.yaml CMakeLists.txt package.xml setup.py \
    nextscale_core/kernels/*.?pp pyproject.toml nextscale_lab/pyproject.toml requirements-ros-build*.txt "$0" -type f | LC_ALL=C sort))
if ! stamp_is $venv/.package "$sources"; then
    [ -n "${checked:-}" ] || check_machine
    say "building the package and its ROS messages"
    NEXTSCALE_ROS=$ros logged build $venv/build.log -- \
        $venv/bin/python -m pip install --disable-pip-version-check --verbose \
        --no-deps --no-build-isolation --editable . --editable ./nextscale_lab
    say "$sources" >$venv/.package
fi
