#!/bin/sh
# Every key of the table stands in callbackd.conf(5) under its section, and in the sample
# file under its section, there with its default or in use; and no other key does.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
sample=${1:-$top/conf/callbackd.conf}
manual=${2:-$top/man/callbackd.conf.5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# shellcheck disable=SC2046
${CC:-cc} -std=gnu17 -D_GNU_SOURCE -I"$top/src" $(pkg-config --cflags jansson) \
	-o "$work/dump" "$top/tests/lint/keys_dump.c" "$top/src/rules/keys.c" \
	"$top/src/base/bytes.c"
"$work/dump" | sort >"$work/table"
cut -d' ' -f1,2 "$work/table" >"$work/keys"
[ -s "$work/keys" ] || { echo "check-keys: the table is empty"; exit 1; }

# "Section Key value" of each "Key=value" and each "#Key=value"; prose begins with "# ".
awk '/^\[/ { section = $1; gsub(/[][]/, "", section); next }
	/^#?[A-Za-z]+=/ { sub(/^#/, ""); key = $0; sub(/=.*/, "", key)
		value = $0; sub(/^[^=]*=/, "", value); print section, key, value }' \
	"$sample" | sort -u >"$work/in_sample"
# ".Ss Section keys" begins one, ".It Ic Key=" tells of a key.
awk '/^\.S[sh] / { section = $2; gsub(/[^A-Za-z]/, "", section) }
	/^\.It Ic [A-Za-z]+=/ { key = $3; sub(/=.*/, "", key); print section, key }' \
	"$manual" | sort -u >"$work/in_manual"
cut -d' ' -f1,2 "$work/in_sample" | sort -u >"$work/sample_keys"

compare() { # WHERE FILE
	comm -23 "$work/keys" "$2" | while read -r section key; do
		echo "$1: [$section] $key= is missing"; done >"$work/said"
	comm -13 "$work/keys" "$2" | while read -r section key; do
		echo "$1: [$section] $key= is no key"; done >>"$work/said"
	cat "$work/said"
	[ ! -s "$work/said" ] || status=1
}
compare "$sample" "$work/sample_keys"
compare "$manual" "$work/in_manual"

# What is commented out shows the default.
awk '/^\[/ { section = $1; gsub(/[][]/, "", section); next }
	/^#[A-Za-z]+=/ { sub(/^#/, ""); key = $0; sub(/=.*/, "", key)
		value = $0; sub(/^[^=]*=/, "", value); print section, key, value }' \
	"$sample" | sort -u >"$work/shown"
comm -13 "$work/table" "$work/shown" >"$work/said"
while read -r section key value; do
	echo "$sample: #$key=$value in [$section] does not show the default"
done <"$work/said"
[ ! -s "$work/said" ] || status=1
exit $status
