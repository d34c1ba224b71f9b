#!/bin/sh
# Every kind of event has an entry in the message catalog and the catalog knows no other:
# catalog.sh KINDS CATALOG [SRC MANUAL]. With those: each kind is told somewhere in SRC, and
# each id in the manual page is one of them; and no entry speaks of a field, @FIELD@, that a
# place in SRC leaves out of the record: journalctl -x would print the field's bare name.
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
	# Seen are the places that write their fields out; those of a variable are not.
	find "$3" -name '*.c' -exec awk -v catalog="$2" '
		BEGIN {
			while ((getline line <catalog) > 0) {
				if (line ~ /^# LOG_/) name = substr(line, 3)
				while (match(line, /@CALLBACK_[A-Z]*@/)) {
					wanted[name] = wanted[name] " " tolower(substr(line, RSTART + 10, RLENGTH - 11))
					line = substr(line, RSTART + RLENGTH)
				}
			}
		}
		function look(file, call,    head, kinds, n, i, j, m, names) {
			if (!match(call, /,[ \t]*(NULL|&\(struct log_fields\)[{][^}]*[}]),/)) return
			head = substr(call, RSTART, RLENGTH)
			n = split(substr(call, 1, RSTART), kinds, /[^A-Z_]+/)
			for (i = 1; i <= n; i++) {
				m = split(wanted[kinds[i]], names, " ")
				for (j = 1; j <= m; j++)
					if (head !~ "[.]" names[j] "[ \t]*=") {
						print file ": " kinds[i] " is told without the " names[j] " that its entry in the catalog has"
						bad = 1
					}
			}
		}
		/log_event\($/ || /log_event\([^)]/ { call = ""; on = 1 }
		on { call = call " " $0 }
		on && /"/ { look(FILENAME, call); on = 0 }
		END { exit bad }' {} + || status=1
	while read -r _ name; do
		grep -rqw "$name" --include='*.c' "$3" || { echo "$1: $name is told nowhere"; status=1; }
	done <"$known"
	for id in $(grep -o '\<[0-9a-f]\{32\}\>' "$4" | sort -u); do
		grep -q "^$id " "$known" || { echo "$4: $id is no kind of event"; status=1; }
	done
fi
exit $status
