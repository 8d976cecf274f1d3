# What decides whether a run can be made here. Nothing is changed; every line is key=value.
tell() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\n\r\t' '   ' | cut -c -2000)"; }
first() { head -n 1 2>/dev/null; }

tell clock "$(date +%s 2>/dev/null)"
tell system "$(uname -s 2>/dev/null)"
tell machine "$(uname -m 2>/dev/null)"
tell home "$HOME"

nearest=$root
while [ ! -e "$nearest" ] && [ "$nearest" != / ]; do nearest=$(dirname "$nearest"); done
tell free_kib "$(df -Pk "$nearest" 2>/dev/null | awk 'NR == 2 { print $4 }')"
if [ -w "$nearest" ] && [ -d "$nearest" ]; then tell writable yes; else tell writable no; fi
tell memory_kib "$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo 2>/dev/null)"

for tool in flock setsid rsync curl sha256sum tail; do
  command -v "$tool" >/dev/null 2>&1 && tell tool "$tool"
done
for python in python3 python3.11 python3.12 python3.13 python3.14; do
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) && tell python "$version"
done
for uv in uv "$HOME/.local/bin/uv" "$root/bin/uv"; do
  version=$("$uv" --version 2>/dev/null | first) && [ -n "$version" ] && { tell uv "$version"; break; }
done

gpus=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader,nounits 2>/dev/null) &&
  printf '%s\n' "$gpus" | while IFS= read -r gpu; do tell gpu "$gpu"; done

tell wheel "$(cat "$root/env/.kanjiprep-complete" 2>/dev/null)"
tell trainer "$(cat "$root/trainer/.kanjiprep-complete" 2>/dev/null)"
tell own_trainer "${KANJIPREP_SIMPLETUNER:-}"
for run in "$root"/work/runs/*/; do
  [ -e "$run/launch.json" ] && { run=${run%/}; tell run "${run##*/}"; }
done

ask_hub() {
  [ "$(command -v printf)" = printf ] || return 1  # a printf that is a program shows the token in the process list
  if command -v curl >/dev/null 2>&1; then
    { [ -n "$kanjiprep_token" ] && printf 'header = "Authorization: Bearer %s"\n' "$kanjiprep_token"
      printf 'url = "%s"\n' "$kanjiprep_url"; } |
      curl -q --config - --head --silent --output /dev/null --write-out '%{http_code}' --max-time 15
  else
    printf '%s\n%s\n' "$kanjiprep_url" "$kanjiprep_token" | python3 -c '
import sys, urllib.error, urllib.request
url, token = sys.stdin.read().split("\n")[:2]
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
request = urllib.request.Request(url, method="HEAD", headers={"Authorization": "Bearer " + token} if token else {})
try: print(urllib.request.build_opener(Stay).open(request, timeout=15).status)
except urllib.error.HTTPError as error: print(error.code)
except Exception: print("000")
'
  fi
}
[ -n "$kanjiprep_url" ] && tell hub "$(ask_hub 2>/dev/null)"
tell clock_after "$(date +%s 2>/dev/null)"
