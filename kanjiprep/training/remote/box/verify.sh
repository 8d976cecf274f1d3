# What of ours is set up here; nothing is changed.
tell() { printf '%s=%s\n' "$1" "$2"; }
[ "$(cat "$root/env/.kanjiprep-complete" 2>/dev/null)" = "$kanjiprep_digest" ] &&
  [ "$(cat "$root/bin/kanjiprep" 2>/dev/null)" = "$kanjiprep_wrapper" ] && [ -x "$root/bin/kanjiprep" ] || return 0
version=$("$root/bin/kanjiprep" --version 2>/dev/null) || return 0
tell version "$version"
if [ "$kanjiprep_accelerator" = none ]; then
  tell trainer "not asked for"
elif [ -n "${KANJIPREP_SIMPLETUNER:-}" ]; then
  tell trainer "$KANJIPREP_SIMPLETUNER"
else
  plan=$("$root/bin/kanjiprep" setup-trainer --accelerator "$kanjiprep_accelerator" --dry-run --json 2>/dev/null)
  case $plan in *'"is_finished": true'*) tell trainer "$root/trainer" ;; esac
fi
