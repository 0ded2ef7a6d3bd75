#!/bin/sh
# Makes ./configure from configure.ac; needs autoconf, automake and pkg-config.
set -e
cd "$(dirname "$0")"
for program in autoreconf automake pkg-config; do
	command -v $program >/dev/null || {
		echo "autogen.sh: $program is missing: install autoconf," \
			"automake and pkg-config" >&2
		exit 1
	}
done
mkdir -p build-aux
exec autoreconf --install --force --warnings=all
