#!/bin/sh
# A file of more than 500 lines has two nouns in it: size.sh SRC. Headers of more than 150
# lines and functions of more than 60 are told, not refused.
set -eu
find "$1" -name '*.[ch]' | sort | xargs awk '
	FNR == 1 { if (file) check(); file = FILENAME; start = 0 }
	function check() {
		if (last > 500) { print file ": " last " lines, at most 500"; bad = 1 }
		else if (file ~ /\.h$/ && last > 150) print "note: " file ": a header of " last " lines"
	}
	{ last = FNR }
	/^[a-z].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
	/^{/ { start = FNR }
	/^}/ && start {
		if (FNR - start > 60 && name) print "note: " file ":" start ": " name "() has " FNR - start " lines"
		start = 0; name = ""
	}
	END { check(); exit bad }'
