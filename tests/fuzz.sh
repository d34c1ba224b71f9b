#!/bin/sh
# Runs each fuzzer named for so many seconds: fuzz.sh SECONDS PROGRAM… New inputs are kept
# beside the program; those worth keeping are copied by hand to tests/fuzz/seeds/NAME.
set -eu
seconds=$1
shift
if [ $# -eq 0 ]; then
	echo "fuzz: no tests/fuzz/fuzz_*.c"
	exit 1
fi
for f in "$@"; do
	name=${f##*/fuzz_}
	mkdir -p "$f.corpus"
	seeds=
	[ -d "tests/fuzz/seeds/$name" ] && seeds=tests/fuzz/seeds/$name
	echo "== $name"
	timeout -k 10 $((seconds + 60)) "$f" -max_total_time="$seconds" -timeout=10 \
		-print_final_stats=0 -verbosity=0 -artifact_prefix="$f." "$f.corpus" ${seeds:+"$seeds"}
done
echo "fuzz: $# fuzzers, $seconds s each, nothing found"
