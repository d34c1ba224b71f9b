#!/bin/sh
# The floors, kept: floors.sh SRC. A file includes its own floor and those below it,
# base < rules < io < flow < api; ctl, the tool's own room, includes base, rules and io.
# The programs (SRC/*.c) include what they like, and nobody includes them. Within a floor
# there are no rings of includes. Includes are written from SRC.
set -eu
status=0
cd "$1"

edges=$(mktemp)
trap 'rm -f "$edges"' EXIT

# Lines "FILE INCLUDED" of all quoted includes.
find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
	/^[ \t]*#[ \t]*include[ \t]*"/ { split($0, q, "\""); print FILENAME, q[2] }' >"$edges"

awk '
	BEGIN { n = split("base rules io flow api", f); for (i = 1; i <= n; i++) rank[f[i]] = i }
	function floor(path) { return index(path, "/") ? substr(path, 1, index(path, "/") - 1) : "" }
	function say(why) { print "src/" $1 ": includes \"" $2 "\": " why; bad = 1 }
	{
		from = floor($1); to = floor($2)
		if (to == "") { say("write it from src/, FLOOR/FILE.h"); next }
		if (!(to in rank) && to != "ctl") { say("there is no such floor"); next }
		if (from == "") next
		if (!(from in rank) && from != "ctl") { say("src/" from " is no floor"); next }
		if (from == "ctl") {
			if (to != "ctl" && rank[to] > rank["io"]) say("ctl may look at base, rules and io only")
		} else if (to == "ctl") say("only ctl and its program look into ctl")
		else if (rank[to] > rank[from]) say(from " is below " to " and must not look up")
	}
	END { exit bad }' "$edges" || status=1

# tsort names the members of each ring on standard error.
rings() {
	awk '$1 != $2 { split($1, a, "/"); split($2, b, "/"); if (a[1] == b[1]) print }' |
		tsort 2>&1 >/dev/null |
		sed "s|^tsort: -: input contains a loop:|$1|; s|^tsort: |  src/|" || true
}
found=$(rings 'a ring of includes:' <"$edges")
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	status=1
fi
# Told, not refused: modules (a header and all its sources, NAME.c and NAME_*.c) that know
# each other, though no header includes itself by way of the others.
sed 's/_[a-z_]*\.[ch]/.h/g; s/\.[ch]\( \|$\)/\1/g' "$edges" | sort -u | rings 'note: modules that know each other:'
exit $status
