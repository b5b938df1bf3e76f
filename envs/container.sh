#!/bin/bash
# What an image holds, from the same lock as `make install`: `envs/container.sh cpu|cuda [python]`, for the Python of
# that name. The project itself is not installed: the workflow runs it from its folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
device=${1:-}
python=${2:-python3}
pip() { "$python" -m pip --no-cache-dir --disable-pip-version-check "$@"; }

# Torch is not in the lock, because its builds differ by device.
case $device in
cpu) torch=(torch==2.13.0+cpu --extra-index-url https://download.pytorch.org/whl/cpu) ;;
cuda) torch=(torch==2.13.0) ;;
*)
    echo "envs/container.sh: the device is cpu or cuda, found ${device:-none}" >&2
    exit 1
    ;;
esac

pip install --require-hashes --no-deps -r "$here/lock.txt"
pip install "${torch[@]}"
if [ "$device" = cuda ]; then
    # XGBoost's build for the GPU has another name.
    version=$(sed -nE 's/^xgboost-cpu==([^ ]+).*/\1/p' "$here/lock.txt")
    pip uninstall --yes xgboost-cpu
    pip install "xgboost==$version"
fi
pip check
