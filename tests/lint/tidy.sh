#!/bin/sh
# clang-tidy over the sources named, two at a time: tidy.sh 'FLAGS' FILE… Whatever it finds
# is an error; what it looks for is in .clang-tidy.
set -eu
flags=$1
shift
[ $# -gt 0 ] || exit 0
export flags
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c '
	# shellcheck disable=SC2086
	out=$(timeout 170 clang-tidy --quiet --warnings-as-errors="*" "$1" -- $flags 2>&1) && exit 0
	printf "%s\n" "$out" | grep -v "warnings.* generated\|treated as error"
	exit 1' sh
