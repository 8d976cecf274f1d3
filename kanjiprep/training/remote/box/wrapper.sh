#!/bin/sh
# Made by kanjiprep: our own tool on this box, in its folder.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 126
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX
export KANJIPREP_TRAINER_HOME="${KANJIPREP_TRAINER_HOME:-$root/trainer}"
export XDG_CACHE_HOME="$root/cache" HF_HOME="${HF_HOME:-$root/cache/huggingface}"
export UV_CACHE_DIR="${UV_CACHE_DIR:-$root/cache/uv}" UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$root/python}"
export MPLCONFIGDIR="$root/cache/matplotlib" TRITON_CACHE_DIR="$root/cache/triton" CUDA_CACHE_PATH="$root/cache/cuda"
unset LC_ALL
export LANG="${LANG:-C.UTF-8}" PYTHONUTF8=1 NO_COLOR=1 COLUMNS=500
cd "$root/work" || exit 126
exec "$root/env/bin/kanjiprep" "$@"
