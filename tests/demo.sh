#!/bin/sh
# The whole road on this machine, nothing installed, nothing left behind: a storage service calls
# back, callbackd records it and starts a hook. Usage: tests/demo.sh [BUILD-DIRECTORY]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:-$top/build}" && pwd)
python=$(command -v python3)
dir=$(mktemp -d "${TMPDIR:-/tmp}/callbackd-demo.XXXXXX")
storage= daemon=

cleanup() {
	status=$?
	trap - EXIT
	for pid in $daemon $storage; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || :
	done
	if [ "$status" -ne 0 ] && [ -s "$dir/journal" ]; then
		printf '\nThe demo failed. What callbackd said:\n' >&2
		cat "$dir/journal" >&2
	fi
	rm -rf "$dir"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
[ -t 1 ] || step() { printf '\n%s\n' "$*"; }

show() { # indented, so that it is told from our own words
	sed 's/^/    /'
}

for program in callbackd callbackctl; do
	[ -x "$build/$program" ] || { echo "$build/$program is not there: run make first" >&2; exit 1; }
done

step "1. A storage service (a stand-in for the real one, on this machine)"
echo demo-key >"$dir/eachlabs.key"
chmod 600 "$dir/eachlabs.key"
mkfifo "$dir/told"
"$python" "$top/tests/storage-service/storage_service.py" --api-key demo-key --delay 0.3 \
	>"$dir/told" 2>"$dir/storage.err" &
storage=$!
read -r words <"$dir/told" || { cat "$dir/storage.err" >&2; exit 1; }
url=${words##* }
echo "    $url"

step "2. callbackd, told who calls back and what to do about it"
cat >"$dir/publish" <<END
#!/bin/sh
# The hook: what happened is in the environment, the payload on standard input.
{
	echo "job     \$CALLBACK_ID of \$CALLBACK_SOURCE"
	echo "status  \$CALLBACK_STATUS (\$CALLBACK_OUTCOME)"
	echo "size    \${CALLBACK_SIZE_BYTES:-unknown} bytes"
	echo "payload \$(cat)"
} >"$dir/published.new"
mv "$dir/published.new" "$dir/published"
END
chmod 755 "$dir/publish"
cat >"$dir/in" <<END
[Daemon]
PublicURL=http://127.0.0.1:@PORT@
StateDirectory=$dir/state
ControlSocket=$dir/control.sock

[Source eachlabs]
Preset=eachlabs
UploadURL=$url/api/v1/uploads
StatusURL=$url/api/v1/uploads/{id}
UploadOwner=org-demo
APIKeyFile=eachlabs.key

[Hook publish]
Source=eachlabs
On=COMPLETED
Exec=$dir/publish
Export=SIZE_BYTES:/size_bytes
END
mkfifo "$dir/ready"
"$python" "$top/tests/launch.py" --fill "$dir/in=$dir/callbackd.conf" --ready "$dir/ready" -- \
	"$build/callbackd" -c "$dir/callbackd.conf" 2>"$dir/journal" &
daemon=$!
read -r words <"$dir/ready"
[ "${words%% *}" = ready ] || exit 1
sed -n '/^\[Source/,$p' "$dir/callbackd.conf" | show
export CALLBACKD_SOCKET="$dir/control.sock"

step "3. \$ callbackctl upload clip.mp4"
head -c 100000 /dev/urandom >"$dir/clip.mp4"
"$build/callbackctl" upload "$dir/clip.mp4" >"$dir/out" || { show <"$dir/out"; exit 1; }
show <"$dir/out"

step "4. The service called back, and the hook ran"
tries=0
until [ -e "$dir/published" ]; do
	tries=$((tries + 1))
	[ "$tries" -le 200 ] || { echo "    the hook did not run within 20 s" >&2; exit 1; }
	sleep 0.1
done
show <"$dir/published"

step "5. \$ callbackctl list"
"$build/callbackctl" list | show
