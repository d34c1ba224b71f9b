#!/bin/sh
# deb.sh DIR: builds the Debian package from a clean copy of what belongs to it, and leaves
# it in DIR; nothing is written beside the checkout. CALLBACKD_BUILD: see debian/rules.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
version=$(dpkg-parsechangelog -l "$top/debian/changelog" -S Version)
tree=$out/callbackd-$version
rm -rf "$tree"
mkdir "$tree"
for part in LICENSE Makefile README.md conf debian man src systemd; do
	cp -a "$top/$part" "$tree/"
done
cd "$tree"
dpkg-buildpackage -b -us -uc ${CALLBACKD_BUILD:+-d} >"$out/build.log" 2>&1 || {
	tail -n 40 "$out/build.log" >&2
	exit 1
}
cd "$out"
rm -rf "$tree"
ls "$out"/callbackd_"$version"_*.deb
