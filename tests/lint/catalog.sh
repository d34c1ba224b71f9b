#!/bin/sh
# Every kind of event has an entry in the message catalog and the catalog knows no other:
# catalog.sh KINDS CATALOG [SRC MANUAL]. With those: each kind is told somewhere in SRC, and
# each id in the manual page is one of them.
set -eu
known=$(mktemp) told=$(mktemp)
trap 'rm -f "$known" "$told"' EXIT
sed -n 's/.*X(\(LOG_[A-Z_]*\), LOG_[A-Z]*, "\([0-9a-f]\{32\}\)").*/\2 \1/p' "$1" | sort >"$known"
# Each entry carries its kind's name in a comment above it.
awk '/^# LOG_/ { name = $2 } /^-- / { print $2, name; name = "?" }' "$2" | sort >"$told"
[ -s "$known" ] || { echo "$1: no kinds found" && exit 1; }
status=0
sort "$known" | cut -d' ' -f1 | uniq -d | grep . && echo "$1: id used twice" && status=1
if ! diff "$known" "$told" | sed -n "s|^<|$1: has no (or another) entry in the catalog:|p; s|^>|$2: is no kind of event:|p" | awk '{ print } END { exit NR > 0 }'; then
	status=1
fi
# An entry without a subject or without a text helps nobody.
awk -v file="$2" '
	function done() { if (id && (!subject || text < 2)) { print file ": " id ": no subject or no explanation"; bad = 1 } }
	/^-- / { done(); id = $2; subject = text = 0; next }
	/^Subject: ./ { subject = 1; next }
	/^[A-Z][a-z]*: / { next }
	/[^ \t]/ && !/^#/ { text++ }
	END { done(); exit bad }' "$2" || status=1
if [ $# -eq 4 ]; then
	while read -r _ name; do
		grep -rqw "$name" --include='*.c' "$3" || { echo "$1: $name is told nowhere"; status=1; }
	done <"$known"
	for id in $(grep -o '\<[0-9a-f]\{32\}\>' "$4" | sort -u); do
		grep -q "^$id " "$known" || { echo "$4: $id is no kind of event"; status=1; }
	done
fi
exit $status
