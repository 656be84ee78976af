#!/bin/sh
# Writes requirements.lock, exact versions of all packages for Python 3.10 to 3.14 with the wheels of
# ROS 2 Jazzy, and requirements-kilted.lock, the replacements for ROS 2 Kilted. Locked versions are
# kept where possible; `rm requirements*.lock` first to renew all. Needs Python 3.11 or newer.
set -eu
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet uv

printf '%s\n' 'pip==26.3' 'setuptools>=77,<81' wheel 'torch==2.13.0' >"$scratch/tools.in"
"$python" -c 'import tomllib
for line in tomllib.load(open("nextscale_lab/pyproject.toml", "rb"))["project"]["dependencies"]:
    if not line.startswith("nextscale"): print(line)' >>"$scratch/tools.in"

# resolve OUTPUT INPUT...: versions in OUTPUT are kept where possible.
resolve() {
    "$scratch/venv/bin/uv" pip compile --quiet --universal --no-python-downloads \
        --python-version 3.10 --no-annotate --no-header --output-file "$@"
}
# A `resolve` of this package with everything: EXTRA names the ROS distribution's wheels.
resolve_all() {
    output=$1 extra=$2
    shift 2
    resolve "$output" --extra "$extra" --extra test --extra dev --extra view --extra bag \
        --extra docs --extra sim --extra zmq --extra usd "$@" pyproject.toml "$scratch/tools.in"
}
# Torch's GPU libraries are left out: pip adds those that the selected torch requires. Of the markers
# only the Python version is kept; tools/setup.sh checks the machine.
pins() {
    grep -v -E '^(nvidia|cuda|triton)' "$1" | sed -E \
        -e "s/(python_full_version < '3.15' and |implementation_name == 'cpython' and )//g" \
        -e "s/(platform_machine == 'x86_64' and |platform_python_implementation == 'CPython' and )//g" \
        -e "s/( and )?sys_platform == 'linux'//" -e 's/ ; *$//'
}
# Adds the sizes for the estimates of tools/progress.py.
with_sizes() { "$scratch/venv/bin/python" tools/lock_sizes.py "$1"; }

unsized() { sed 's/ *#.*//' "$1" | grep . || true; }
[ ! -f requirements.lock ] || unsized requirements.lock >"$scratch/jazzy.txt"
resolve_all "$scratch/jazzy.txt" ros requirements-ros-build.txt
resolve "$scratch/pylock.jazzy.toml" --format pylock.toml "$scratch/jazzy.txt"
{
    echo "# Made by 'make lock' from pyproject.toml and requirements-ros-build.txt."
    pins "$scratch/jazzy.txt" | with_sizes "$scratch/pylock.jazzy.toml"
} >"$scratch/requirements.lock"

[ ! -f requirements-kilted.lock ] || unsized requirements-kilted.lock >"$scratch/kilted.txt"
grep -v '^ros-' "$scratch/jazzy.txt" >"$scratch/common.txt"
resolve_all "$scratch/kilted.txt" ros-kilted --constraint "$scratch/common.txt" \
    requirements-ros-build-kilted.txt
resolve "$scratch/pylock.kilted.toml" --format pylock.toml "$scratch/kilted.txt"
{
    echo "# Made by 'make lock'. These take the place of all lines ros-... of requirements.lock."
    pins "$scratch/jazzy.txt" | grep -v '^ros-' >"$scratch/kept.txt"
    pins "$scratch/kilted.txt" | grep -vxF -f "$scratch/kept.txt" |
        with_sizes "$scratch/pylock.kilted.toml" | grep -v "^#"
} >requirements-kilted.lock
mv "$scratch/requirements.lock" requirements.lock
