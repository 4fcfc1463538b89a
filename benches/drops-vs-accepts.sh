#!/usr/bin/env bash
#
# Is a suite full of drops as fast as a suite full of accepts? A tool that waits for silence to tell
# a drop is slower by its time-out for each of them; firedrill claims that it does not wait.
#
#   benches/drops-vs-accepts.sh
#
#   FIREDRILL=path   the firedrill to time (default: this checkout, built with --release)
#   ROUNDS=21        measured rounds, alternating who goes first
#   PROBES=50        probes of each suite
#
# The two suites differ in one word: the same rules in the same order, the same probes, each decided
# by a rule of its own, `accept` in one and `drop` in the other.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"

rounds=${ROUNDS:-21}
probes=${PROBES:-50}
[ "$rounds" -ge 1 ] || die "ROUNDS must be at least 1"
[ "$probes" -ge 1 ] || die "PROBES must be at least 1"

work=$(mktemp -d "${TMPDIR:-/tmp}/firedrill-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

generate() { # verdict
	local verdict=$1 n proto
	mkdir -p "$work/$verdict/rulesets"
	{
		echo "table inet filter {"
		echo "  chain input {"
		echo "    type filter hook input priority filter; policy drop;"
		for n in $(seq 1 "$probes"); do
			[ $((n % 2)) = 1 ] && proto=tcp || proto=udp
			echo "    $proto dport $((10000 + n)) counter $verdict comment \"rule $n\""
		done
		echo "  }"
		echo "}"
	} >"$work/$verdict/rulesets/suite.nft"
	{
		echo "name: $probes times $verdict"
		echo "firewall:"
		echo "  nftables: rulesets/suite.nft"
		echo "  interfaces: { eth0: 192.0.2.10/24 }"
		echo "hosts:"
		echo "  client: { behind: eth0, address: 192.0.2.77 }"
		echo "tests:"
		for n in $(seq 1 "$probes"); do
			[ $((n % 2)) = 1 ] && proto=tcp || proto=udp
			echo "  - client -> firewall $proto/$((10000 + n)): $verdict"
		done
	} >"$work/$verdict/suite.yaml"
}

time_suite() { # verdict
	local start end rc=0
	start=$(now_us)
	"$firedrill" test "$work/$1" >"$work/log" 2>&1 || rc=$?
	end=$(now_us)
	[ "$rc" = 0 ] || { cat "$work/log" >&2; die "firedrill failed with status $rc on the suite of ${1}s"; }
	echo $((end - start))
}

firedrill=$(find_firedrill "$here/..")
generate accept
generate drop

machine
echo "  firedrill  $("$firedrill" --version 2>/dev/null | awk '{ print $NF }')"
echo "work"
echo "  $probes accepts against $probes drops, $rounds rounds, whole process"

# Not counted: files come into the page cache, and both suites prove that they pass.
time_suite accept >/dev/null
time_suite drop >/dev/null

: >"$work/accept.us"
: >"$work/drop.us"
for round in $(seq 1 "$rounds"); do
	if [ $((round % 2)) = 1 ]; then order="accept drop"; else order="drop accept"; fi
	for verdict in $order; do
		time_suite "$verdict" >>"$work/$verdict.us"
	done
done

echo "result"
row "accepts" "$work/accept.us"
row "drops" "$work/drop.us"
echo "  ratio of medians, drops to accepts: $(ratio "$(median_of "$work/drop.us")" "$(median_of "$work/accept.us")")"
