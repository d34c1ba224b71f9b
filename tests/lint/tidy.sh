#!/bin/sh
# clang-tidy over the sources named, two at a time: tidy.sh 'FLAGS' FILE… What it finds
# is an error (.clang-tidy); what it suppressed is not shown.
set -eu
flags=$1
shift
[ $# -gt 0 ] || exit 0
export flags
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c '
	# shellcheck disable=SC2086
	out=$(timeout 120 clang-tidy --quiet "$1" -- $flags 2>&1) && exit 0
	printf "%s\n" "$out" | grep -v "warnings generated\|treated as error"
	exit 1' sh
