# Runs on the box, detached; its one argument is the folder of ours. kanjiprep_* are written above it.
root=$1
stage() { printf '@stage %s\n' "$1"; }
fail() {
  if [ -n "$env" ] && [ ! -e "$env/.kanjiprep-complete" ]; then rm -rf "$env"; fi
  printf '@failed %s\n' "$1"
  exit 1
}
env=
umask 077
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX UV_PYTHON UV_PROJECT_ENVIRONMENT
export UV_CACHE_DIR="${UV_CACHE_DIR:-$root/cache/uv}"
export UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$root/python}"
export UV_PYTHON_BIN_DIR="$root/bin" UV_NO_PROGRESS=1 UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"
mkdir -p "$root/bin" "$root/work" "$root/envs" "$root/datasets" || fail "our folder cannot be made"
cd "$root/work" || fail "our folder cannot be entered"

find_uv() {
  for uv in uv "$HOME/.local/bin/uv" "$root/bin/uv"; do
    "$uv" --version >/dev/null 2>&1 && return 0
  done
  return 1
}
bring_uv() {
  aside=$root/.uv.new
  rm -rf "$aside"
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir --target "$aside" uv
  fi
  if [ ! -x "$aside/bin/uv" ] && command -v curl >/dev/null 2>&1; then
    mkdir -p "$aside/bin"
    curl -LsSf --max-time 300 https://astral.sh/uv/install.sh >"$aside/install.sh" &&
      UV_UNMANAGED_INSTALL="$aside/bin" sh "$aside/install.sh"
  fi
  [ -x "$aside/bin/uv" ] && mv -f "$aside/bin/uv" "$root/bin/uv"
  rm -rf "$aside"
}
stage "find uv"
find_uv || { stage "bring uv"; bring_uv; find_uv; } ||
  fail "uv could not be brought, neither by pip nor by its installer; install it there"

wheel=$root/wheels/$kanjiprep_digest/$kanjiprep_wheel
[ "$(sha256sum <"$wheel" 2>/dev/null | cut -c -64)" = "$kanjiprep_digest" ] || fail "the wheel did not arrive whole"

env=$root/envs/$kanjiprep_digest
done=$env/.kanjiprep-complete
if [ "$(cat "$done" 2>/dev/null)" != "$kanjiprep_digest" ]; then
  stage "make the environment"
  rm -rf "$env"
  "$uv" venv --no-project --python 3.12 "$env" ||
    "$uv" venv --no-project --no-python-downloads --python '>=3.11' "$env" ||
    fail "there is no Python of 3.11 or newer, and uv could not fetch one"
  stage "install kanjiprep"
  "$uv" pip install --python "$env/bin/python" "$wheel" || fail "kanjiprep could not be installed"
  "$env/bin/kanjiprep" --version || fail "kanjiprep does not start"
  printf '%s\n' "$kanjiprep_digest" >"$done.new" && mv -f "$done.new" "$done" || fail "the disk is full"
fi
ln -sfn "envs/$kanjiprep_digest" "$root/.env.new" && mv -fT "$root/.env.new" "$root/env" || fail "env cannot be set"
printf '%s' "$kanjiprep_wrapper" >"$root/bin/.kanjiprep.new" && chmod 700 "$root/bin/.kanjiprep.new" &&
  mv -f "$root/bin/.kanjiprep.new" "$root/bin/kanjiprep" || fail "the command cannot be written"

if [ "$kanjiprep_accelerator" != none ] && [ -z "${KANJIPREP_SIMPLETUNER:-}" ]; then
  stage "set up the trainer"
  "$root/bin/kanjiprep" setup-trainer --accelerator "$kanjiprep_accelerator" || fail "the trainer could not be set up"
fi
stage "done"
