#!/bin/sh
# Writes requirements.lock: exact versions of everything, for Python 3.10 to 3.12 at once. Versions
# that are locked already stay where they can; `rm requirements.lock` first renews them all.
set -eu
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet uv

printf '%s\n' 'pip==26.3' 'setuptools>=77,<81' wheel 'torch==2.13.0' >"$scratch/tools.in"
[ ! -f requirements.lock ] || cp requirements.lock "$scratch/out.txt"
"$scratch/venv/bin/uv" pip compile --quiet --universal --no-python-downloads \
    --python-version 3.10 --no-annotate --no-header --output-file "$scratch/out.txt" \
    --extra ros --extra test --extra dev --extra view --extra bag --extra docs \
    pyproject.toml requirements-ros-build.txt "$scratch/tools.in"

# Torch's GPU libraries are left out: pip adds those that its chosen torch asks for. Of the markers
# only the Python version is kept; tools/setup.sh looks at the machine.
{
    echo "# Made by 'make lock' from pyproject.toml and requirements-ros-build.txt."
    grep -v -E '^(nvidia|cuda|triton)' "$scratch/out.txt" | sed -E \
        -e "s/(python_full_version < '3.13' and |implementation_name == 'cpython' and )//g" \
        -e "s/(platform_machine == 'x86_64' and |platform_python_implementation == 'CPython' and )//g" \
        -e "s/( and )?sys_platform == 'linux'//" -e 's/ ; *$//'
} >requirements.lock
