#!/bin/sh
# Each header compiles alone, so that the order of includes never matters: headers.sh
# CFLAGS…
set -eu
status=0
for h in $(find src tests -name '*.h' | sort); do
	# -MMD and its like would write files; -fsyntax-only writes none.
	printf '#include "%s"\n' "${h#src/}" |
		${CC:-cc} "$@" -MF /dev/null -I. -fsyntax-only -Werror -x c - || {
		echo "$h: does not compile alone"
		status=1
	}
done
exit $status
