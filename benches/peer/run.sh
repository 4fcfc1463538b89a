#!/usr/bin/env bash
#
# Times firedrill against its closest peer on the same work: ten scenarios, five mixed probes each,
# half of them drops; whole process, from start to exit status. See README.md beside this file.
#
#   sudo benches/peer/run.sh            both sides, alternating
#   sudo benches/peer/run.sh --peer     the peer alone (no firedrill needed)
#
#   FIREDRILL=path   the firedrill to time (default: this checkout, built with --release)
#   ROUNDS=9         measured rounds; one more before them only checks that both sides pass
#   PEER_VENV=dir    a virtual environment with the peer in it, so that nothing is downloaded
#   PEER_TUNED=1     also time the peer with its fixed pauses set to zero
#
# Isolation. The peer needs real root: it runs `ip netns add`, creates its veth pairs in the
# namespace it was started in, and deletes what looks like its own leftovers there. It refuses to
# execute tools whose owner is not uid 0, and so cannot use an ordinary user's user namespace,
# where the system's files belong to "nobody". We therefore run it as root in fresh network, mount
# and PID namespaces with a private /run: its namespaces, links and name files live and die there,
# and a killed benchmark leaves nothing. The clock starts inside, so that this wrapping costs the
# peer nothing. firedrill isolates itself and is started as it is.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/../common.sh"

peer_version=2.1.2
rounds=${ROUNDS:-9}
with_firedrill=1
case "${1:-}" in
"") ;;
--peer) with_firedrill= ;;
*) die "unknown argument $1 (see the head of this script)" ;;
esac
[ "$rounds" -ge 1 ] || die "ROUNDS must be at least 1"
[ "$(id -u)" = 0 ] || die "the peer needs root (it is kept in namespaces of its own; see the comment)"
for tool in unshare nft ip sysctl python3; do
	command -v "$tool" >/dev/null || die "$tool is missing"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/firedrill-peer.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- both sides' inputs -----------------------------------------------------------------------

# Scenario N opens tcp/8000+N, udp/9000+N and ping to 10.0.0.2; everything else is dropped by a
# rule (tcp/23) or by the policy. Odd scenarios have three drops of five, even ones two: 25 of 50.
ruleset() {
	cat <<-NFT
		table inet filter {
		  set open_tcp {
		    type inet_service
		    elements = { 80, $((8000 + $1)) }
		  }
		  chain input {
		    type filter hook input priority filter; policy drop;
		    ct state established,related accept
		    ct state invalid drop
		    ip protocol icmp accept
		    tcp dport 23 counter drop comment "telnet"
		    tcp dport @open_tcp counter accept comment "services"
		    udp dport $((9000 + $1)) accept
		  }
		}
	NFT
}

# The client is 10.0.0.77, a neighbour that does not exist on the peer's link. From its own end of
# the link (10.0.0.1) the host's TCP/IP stack would answer the firewall's answers, and the peer
# counts every packet it sees: an accepted SYN then gives two verdicts and an oracle error.
#
# protocol port verdict, one probe per line
probes() {
	echo "tcp $((8000 + $1)) accept"
	echo "tcp 23 drop"
	if [ $(($1 % 2)) = 1 ]; then echo "udp 161 drop"; else echo "udp $((9000 + $1)) accept"; fi
	echo "tcp $((20000 + $1)) drop"
	echo "icmp - accept"
}

generate() {
	local n proto port verdict
	mkdir -p "$work/firedrill/rulesets"
	echo "tests:" >"$work/peer.yaml"
	for n in $(seq 1 10); do
		ruleset "$n" >"$work/firedrill/rulesets/$n.nft"
		{
			echo "name: scenario $n"
			echo "firewall:"
			echo "  nftables: rulesets/$n.nft"
			echo "  interfaces: { eth0: 10.0.0.2/24 }"
			echo "hosts:"
			echo "  client: { behind: eth0, address: 10.0.0.77 }"
			echo "tests:"
			probes "$n" | while read -r proto port verdict; do
				[ "$proto" = icmp ] && port=echo-request
				echo "  - client -> firewall $proto/$port: $verdict"
			done
		} >"$work/firedrill/$(printf %02d "$n").yaml"
		{
			echo "  - name: scenario $n"
			echo "    topology: simple"
			echo "    rules: |"
			ruleset "$n" | sed 's/^/      /'
			echo "    packets:"
			probes "$n" | while read -r proto port verdict; do
				echo "      - protocol: $proto"
				echo "        src_ip: 10.0.0.77"
				echo "        dst_ip: 10.0.0.2"
				[ "$proto" = icmp ] || echo "        dst_port: $port"
				[ "$proto" = tcp ] && echo "        tcp_flags: [S]"
				echo "        expected_verdict: ${verdict^^}"
			done
		} >>"$work/peer.yaml"
	done
}

# ---- the two sides ----------------------------------------------------------------------------

# Runs once; microseconds to stdout, the program's own output to a log.
time_firedrill() {
	local start rc=0
	start=$(now_us)
	"$firedrill" test "$work/firedrill" >"$work/firedrill.log" 2>&1 || rc=$?
	local end
	end=$(now_us)
	[ "$rc" = 0 ] || { cat "$work/firedrill.log" >&2; die "firedrill failed with status $rc"; }
	echo $((end - start))
}

time_peer() { # environment assignments for the peer
	unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private \
		bash -c '
			mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up || exit 90
			runner=$1 suite=$2 log=$3
			shift 3
			start=${EPOCHREALTIME/./}
			env "$@" "$runner" --file "$suite" >"$log" 2>&1
			rc=$?
			end=${EPOCHREALTIME/./}
			[ "$rc" = 0 ] || exit "$rc"
			echo $((end - start))
		' peer "$venv/bin/nse-runner" "$work/peer.yaml" "$work/peer.log" "$@" ||
		{ tail -40 "$work/peer.log" >&2; die "the peer failed"; }
	grep -q "10 passed, 0 failed" "$work/peer.log" || die "the peer did not pass all ten scenarios"
}

# ---- preparation ------------------------------------------------------------------------------

firedrill=
[ -z "$with_firedrill" ] || firedrill=$(find_firedrill "$root")

if [ -n "${PEER_VENV:-}" ]; then
	venv=$PEER_VENV
else
	venv=$work/venv
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check \
		"network-sandbox-engine[cli]==$peer_version"
fi
[ -x "$venv/bin/nse-runner" ] || die "no nse-runner in $venv"
# Compile once, as an installed package would be.
"$venv/bin/python" -m compileall -q "$venv/lib" >/dev/null 2>&1 || true

generate
tuned=
# The peer's own settings for its fixed pauses after each packet and after all of them, at zero. Its
# canary packets still have to be seen, and all verdicts still have to be right.
[ -z "${PEER_TUNED:-}" ] || tuned="NSE_INJECT_SETTLE=0 NSE_DRAIN_DELAY=0"

machine
echo "  python     $("$venv/bin/python" -V | cut -d' ' -f2)"
echo "  peer       network-sandbox-engine $("$venv/bin/pip" list --format=freeze --disable-pip-version-check |
	sed -n 's/^network-sandbox-engine==//p'), scapy $("$venv/bin/pip" list --format=freeze --disable-pip-version-check |
	sed -n 's/^scapy==//p')"
[ -z "$firedrill" ] || echo "  firedrill  $("$firedrill" --version 2>/dev/null | awk '{ print $NF }')"
echo "work"
echo "  10 scenarios, 50 probes, $(for n in $(seq 1 10); do probes "$n"; done | grep -c ' drop$') of them drops; $rounds rounds, whole process"

# ---- measurement ------------------------------------------------------------------------------

# Not counted: files come into the page cache, and both sides prove that they pass.
[ -z "$firedrill" ] || time_firedrill >/dev/null
time_peer NSE_ROUND=0 >/dev/null

: >"$work/a"
: >"$work/b"
: >"$work/c"
for round in $(seq 1 "$rounds"); do
	# Alternate who goes first, so that neither always has the warmer machine.
	if [ $((round % 2)) = 1 ]; then
		[ -z "$firedrill" ] || time_firedrill >>"$work/a"
		time_peer NSE_ROUND="$round" >>"$work/b"
	else
		time_peer NSE_ROUND="$round" >>"$work/b"
		[ -z "$firedrill" ] || time_firedrill >>"$work/a"
	fi
	# shellcheck disable=SC2086  # a list of assignments
	[ -z "$tuned" ] || time_peer $tuned >>"$work/c"
done

echo "result"
[ -z "$firedrill" ] || row "firedrill" "$work/a"
row "peer" "$work/b"
[ -z "$tuned" ] || row "peer, tuned" "$work/c"
if [ -n "$firedrill" ]; then
	echo "  ratio of medians: the peer takes $(ratio "$(median_of "$work/b")" "$(median_of "$work/a")") times as long"
	[ -z "$tuned" ] ||
		echo "  … and tuned $(ratio "$(median_of "$work/c")" "$(median_of "$work/a")") times"
fi
