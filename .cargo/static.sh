#!/bin/sh
# Links the program `firedrill` statically, and nothing else: as a setting for all (RUSTFLAGS), glibc
# targets refuse procedural macros unless --target is given, which moves the build to another folder.
# Where the C library for static programs is missing the program is an ordinary one; it says so when it
# should travel.
case " $* " in
*" --crate-name firedrill "*" --crate-type bin "*)
	case $("${CC:-cc}" -print-file-name=libc.a 2>/dev/null) in
	/*) exec "$@" -C target-feature=+crt-static ;;
	esac
	;;
esac
exec "$@"
