#!/bin/bash
# Makes .venv-mujoco-py in the project's root: D4RL 1.1 itself, on gym 0.23.1, mujoco-py 2.1.2.14
# and MuJoCo 2.1.0, from PyPI alone. Optional: only the simulator mujoco-py and `make oracle`
# need it. MUJOCO_PY_PYTHON names the Python to make it with, 3.10 or 3.11; it is searched otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environment=$(cd "$here/../.." && pwd)/.venv-mujoco-py

fail() {
    echo "envs/mujoco-py/install.sh: $1" >&2
    exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "MuJoCo 2.1.0 comes for Linux on x86-64 alone, found $(uname -sm)"

fits='import sys, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))'
for candidate in ${MUJOCO_PY_PYTHON:-python3.10 python3.11 python3}; do
    if "$candidate" -c "$fits" 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "${python:-}" ] || fail "needs Python 3.10 or 3.11 with its venv module, tried: \
${MUJOCO_PY_PYTHON:-python3.10 python3.11 python3}. Try: MUJOCO_PY_PYTHON=/path/to/python3.10 $0"

# mujoco-py compiles itself when it is first imported, its off-screen renderer with it.
missing=()
command -v gcc >/dev/null || missing+=(gcc)
command -v patchelf >/dev/null || missing+=(patchelf)
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -e "$headers/Python.h" ] || missing+=("lib$(basename "$headers")-dev")
if command -v gcc >/dev/null; then
    echo '#include <GL/osmesa.h>' | gcc -E - >/dev/null 2>&1 || missing+=(libosmesa6-dev)
fi
[ ${#missing[@]} -eq 0 ] || fail "Debian packages are missing: apt-get install ${missing[*]}"

"$python" -m venv --clear "$environment"
pip() { "$environment/bin/python" -m pip "$@" --quiet --disable-pip-version-check --no-deps --require-hashes; }

# Only gym has no wheel. It is built with the setuptools that is pinned, not with today's.
pip install -r <(grep -A2 '^setuptools==' "$here/requirements.txt")
pip install --no-build-isolation -r "$here/requirements.txt"

# free-mujoco-py carries MuJoCo 2.1.0's own tree. Nothing else of it is used.
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
pip download --dest "$download" --only-binary :all: --python-version 3.10 -r /dev/stdin \
    <<<"free-mujoco-py==2.1.6 --hash=sha256:f541d84b6bd87919ccf28f5a708681ca90560a945d104aca393d89275790efb8"
"$environment/bin/python" -m zipfile -e "$download"/*.whl "$download"
mv "$download/mujoco_py/binaries/linux/mujoco210" "$environment/"

# With this the environment's python needs no variables set from outside.
packages=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here/mujoco-py.pth" "$packages/"
echo "compiling mujoco-py, about a minute and a half" >&2
LD_LIBRARY_PATH="$environment/mujoco210/bin${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
    "$environment/bin/python" -c 'import mujoco_py' >"$environment/compile.log" 2>&1 ||
    fail "mujoco-py did not compile, see $environment/compile.log"
# Its builder leaves the libraries to LD_LIBRARY_PATH, which has to be set before a process starts.
patchelf --force-rpath --set-rpath "$environment/mujoco210/bin" "$packages"/mujoco_py/generated/cymj_*linuxcpu*.so

"$environment/bin/python" -c 'import gym, d4rl.gym_mujoco; gym.make("hopper-medium-v2").reset()'
touch "$environment/.installed"
echo "$environment is ready" >&2
