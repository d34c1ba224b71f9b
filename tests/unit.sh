#!/bin/sh
# Runs the unit test programs named, each within its time, all of them even when one
# fails; the last line tells.
seconds=${UNIT_SECONDS:-120}
n=0
failed=
for t in "$@"; do
	n=$((n + 1))
	out=$(timeout -k 5 "$seconds" "$t" 2>&1)
	status=$?
	if [ $status -eq 0 ]; then
		printf '%s: %s\n' "${t##*/}" "$(printf '%s\n' "$out" | grep -c '\[       OK \]') passed"
	else
		printf '%s\n' "$out"
		[ $status -eq 124 ] && echo "${t##*/}: not done after $seconds s"
		failed="$failed ${t##*/}"
	fi
done
if [ -n "$failed" ]; then
	echo "unit:$failed failed of $n programs"
	exit 1
fi
echo "unit: all $n programs passed"
