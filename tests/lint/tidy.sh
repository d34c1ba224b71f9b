#!/bin/sh
# clang-tidy over the sources named, two at a time: tidy.sh 'FLAGS' FILE… Whatever it
# finds is an error, but for leaks: the analyzer does not know that a variable marked
# CLEANUP is freed, and the sanitized tests find leaks anyway.
set -eu
flags=$1
shift
[ $# -gt 0 ] || exit 0
export flags
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c '
	# shellcheck disable=SC2086
	timeout 120 clang-tidy --quiet "$1" -- $flags 2>&1 | awk "
		/: (warning|error): / { show = !/Potential leak of memory/ }
		/^[0-9]+ (warning|error)s? generated/ || /^Suppressed / { next }
		show { print; bad = 1 }
		END { exit bad }"' sh
