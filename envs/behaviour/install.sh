#!/bin/bash
# Makes .venv-behaviour in the project's root: sbx, with which `make behaviour` trains behaviour policies.
# Optional: the policies of src/d4rl_automl/resources/behaviour ship. BEHAVIOUR_PYTHON names the Python to make it with,
# 3.11 to 3.13; it is searched otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environment=$(cd "$here/../.." && pwd)/.venv-behaviour

fits='import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
for candidate in ${BEHAVIOUR_PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$fits" 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "${python:-}" ] || {
    echo "envs/behaviour/install.sh: needs Python 3.11, 3.12 or 3.13 with its venv module, tried: \
${BEHAVIOUR_PYTHON:-python3 python3.13 python3.12 python3.11}. Try: BEHAVIOUR_PYTHON=/path/to/python3.12 $0" >&2
    exit 1
}

"$python" -m venv --clear "$environment"
pip() { "$environment/bin/python" -m pip "$@" --quiet --disable-pip-version-check; }
pip install --require-hashes --no-deps -r "$here/requirements.txt"
# Stable-Baselines3 requires torch. It stays out of the hashes as in the Makefile, and for the same reason.
pip install torch==2.13.0
"$environment/bin/python" -m pip check --disable-pip-version-check
"$environment/bin/python" -c 'import sbx, gymnasium.envs.mujoco, mujoco.batch'
touch "$environment/.installed"
echo "$environment is ready" >&2
