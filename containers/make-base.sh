#!/bin/sh
# Makes base images from Debian packages, for machines that reach no registry:
#
#   containers/make-base.sh [--fresh] SUITE...
#
# makes the image firedrill/base:SUITE of each suite (bookworm, trixie, ...), unless it is there already.
# The Dockerfiles of the folders beside this script build upon it with the build argument BASE, as in
#
#   FIREDRILL_BASE=firedrill/base:trixie firedrill test --launcher docker
#
# Packages come from $MIRROR, else from the mirror that this machine's apt uses. Needs mmdebstrap, and
# docker (or $DOCKER, podman for example).
set -eu

docker=${DOCKER:-docker}
fresh=
if [ "${1-}" = --fresh ]; then
	fresh=yes
	shift
fi
if [ $# -eq 0 ]; then
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
command -v mmdebstrap >/dev/null || {
	echo "mmdebstrap is missing: apt-get install mmdebstrap" >&2
	exit 2
}

mirror=${MIRROR:-}
if [ -z "$mirror" ]; then
	# shellcheck disable=SC2016 # apt replaces these
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
		'Label: Debian' 2>/dev/null | sed -n '1s,/*$,,p')
fi
mirror=${mirror:-http://deb.debian.org/debian}

for suite; do
	image=firedrill/base:$suite
	if [ -z "$fresh" ] && "$docker" image inspect "$image" >/dev/null 2>&1; then
		echo "$image is there"
		continue
	fi
	echo "making $image from $mirror" >&2
	# Into a file: a pipe would make an image of what a failing mmdebstrap has written so far.
	archive=$(mktemp --suffix=.tar)
	trap 'rm -f "$archive"' EXIT
	# What apt has fetched and documentation are not needed.
	mmdebstrap --quiet --variant=apt --format=tar \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
		"$suite" "$archive" "$mirror"
	"$docker" import --change 'LABEL dev.firedrill.image=base' "$archive" "$image" >/dev/null
	rm -f "$archive"
	echo "$image"
done
