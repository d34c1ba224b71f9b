#!/bin/sh
# Sees to it that what the build, the tests or the lint need is there: deps.sh build test
# full lint deb (full: the servers and scanners that only FULL=1 must have). Says and does
# nothing when it is. On Debian it installs what is missing; elsewhere it says what to
# install.
set -eu

build='gcc make pkg-config libevent-dev libssl-dev libjansson-dev libsystemd-dev
	libsqlite3-dev libcurl4-openssl-dev'
test='libcmocka-dev python3 python3-pytest python3-requests curl openssl strace procps util-linux
	systemd-container mmdebstrap debhelper dpkg-dev'
full='nginx-light haproxy caddy testssl.sh slowhttptest'
lint='clang-format clang-tidy mandoc shellcheck systemd'
deb='debhelper dpkg-dev lintian'

packages=
for set in "$@"; do
	case $set in
	build) packages="$packages $build" ;;
	test) packages="$packages $test" ;;
	full) packages="$packages $full" ;;
	lint) packages="$packages $lint" ;;
	deb) packages="$packages $deb" ;;
	*) echo "deps.sh: no such set: $set" >&2 && exit 64 ;;
	esac
done

has_llhttp() {
	[ -e /usr/share/llhttp/llhttp.c ] || pkg-config --exists libllhttp 2>/dev/null
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	# Not Debian: ask for the things themselves, not for packages.
	missing=
	for m in libevent_core libevent_openssl libevent_pthreads openssl jansson libsystemd \
		sqlite3 libcurl; do
		pkg-config --exists $m 2>/dev/null || missing="$missing $m"
	done
	has_llhttp || missing="$missing libllhttp"
	case " $* " in
	*' test '*)
		pkg-config --exists cmocka 2>/dev/null || missing="$missing cmocka"
		for p in curl openssl strace; do
			command -v $p >/dev/null || missing="$missing $p"
		done
		python3 -c 'import pytest' 2>/dev/null || missing="$missing python3-pytest"
		;;
	esac
	case " $* " in
	*' lint '*)
		for p in clang-format clang-tidy mandoc shellcheck systemd-analyze; do
			command -v $p >/dev/null || missing="$missing $p"
		done
		;;
	esac
	[ -z "$missing" ] && exit 0
	echo "Not a Debian system. Please install, with headers and pkg-config files:$missing" >&2
	exit 1
fi

find_missing() {
	missing=
	for p in $packages; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*)
			# pkgconf and the like provide the same thing by another name.
			if [ "$p" = pkg-config ] && command -v pkg-config >/dev/null; then
				continue
			fi
			missing="$missing $p"
			;;
		esac
	done
	if ! has_llhttp; then
		# Newer systems have it as a library, Debian 12 as source.
		if apt-cache show libllhttp-dev >/dev/null 2>&1; then
			missing="$missing libllhttp-dev"
		else
			missing="$missing node-llhttp"
		fi
	fi
}

find_missing
[ -z "$missing" ] && exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null; then
		as_root=sudo
	else
		echo "Missing, and only root can install them: apt-get install$missing" >&2
		exit 1
	fi
fi

apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@" >&2
}

echo "Installing:$missing" >&2
# A new machine has no package lists, and an old list names files that are gone.
# shellcheck disable=SC2086
if ! find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | grep -q . ||
	! apt install -y --no-install-recommends $missing; then
	apt update
	find_missing
	apt install -y --no-install-recommends $missing
fi
