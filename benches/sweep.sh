#!/usr/bin/env bash
#
# Which of a firewall's 65,535 TCP ports are open? firedrill and what people use for that, on the same lab and
# the same ruleset, in one go.
#
#   sudo benches/sweep.sh
#
#   FIREDRILL=path   the firedrill to time (default: this checkout, built with --release)
#   ROUNDS=7         measured rounds of what is fast; what takes minutes runs once
#   BOUNDED=1000     how many ports those look at that would take minutes for all of them, and then twice as many:
#                    what both took is extrapolated in a straight line
#   PYTHON=path      a Python that has scapy (default: /usr/bin/python3)
#
# The yardstick is sweep/sender.c: pre-built frames, sendmmsg, no proof. Nobody who sends such packets one by
# one through this kernel is faster; what firedrill takes beyond it is what its proof costs.
#
# The others need real root. They run in fresh network, mount and PID namespaces with a private /run, in which a
# veth pair leads to a namespace with the ruleset; all of it dies with the script, and no packet leaves it.
# firedrill isolates itself and is started as it is. Programs that are missing are left out, and it is said.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"

rounds=${ROUNDS:-7}
bounded=${BOUNDED:-1000}
python=${PYTHON:-/usr/bin/python3}
[ "$rounds" -ge 1 ] || die "ROUNDS must be at least 1"
[ "$bounded" -ge 443 ] && [ "$bounded" -le 32767 ] ||
	die "BOUNDED must be from 443, the last open port, to 32767, half of all"
[ "$(id -u)" = 0 ] || die "the other programs need root (they are kept in namespaces of their own; see the comment)"
for tool in unshare nft ip cc; do
	command -v "$tool" >/dev/null || die "$tool is missing"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/firedrill-sweep.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

firedrill=$(find_firedrill "$here/..")
cc -O2 -o "$work/sender" "$here/sweep/sender.c" || die "sweep/sender.c cannot be compiled"

# ---- the work -----------------------------------------------------------------------------------

ruleset() { # POLICY
	cat <<-NFT
		table inet filter {
			chain input {
				type filter hook input priority filter; policy $1;
				icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
				ct state established,related accept
				ct state invalid drop
				tcp dport { 22, 80, 443 } accept
				meta l4proto tcp counter comment "the rest"
			}
		}
	NFT
}

scenario() { # NAME RULESET ADDRESSES ONLY-OPEN
	local firewall='192.0.2.10/24' client='192.0.2.77'
	[ "$3" = ipv4 ] || { firewall='[192.0.2.10/24, "2001:db8::10/64"]' && client='[192.0.2.77, "2001:db8::77"]'; }
	mkdir -p "$work/$1"
	cat >"$work/$1/sweep.yaml" <<-YAML
		firewall: { nftables: ../rulesets/$2.nft, interfaces: { eth0: $firewall } }
		hosts: { client: { behind: eth0, address: $client } }
		tests:
		  - from: client
		    to: firewall
		    only-open: $4
	YAML
}

mkdir "$work/rulesets"
ruleset drop >"$work/rulesets/drop.nft"
ruleset accept >"$work/rulesets/accept.nft"
scenario tcp drop ipv4 '{ tcp: [22, 80, 443], udp: any }'
scenario accept accept ipv4 '{ tcp: [1-65535], udp: any }'
scenario four drop both '{ tcp: [22, 80, 443], udp: [] }'

# ---- the programs -------------------------------------------------------------------------------

# Each appends microseconds to $work/NAME.us, and puts what it found into $work/NAME.found.

drill() { # SCENARIO
	local start end
	start=$(now_us)
	"$firedrill" test "$work/$1" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "firedrill failed on the sweep $1"; }
	end=$(now_us)
	echo $((end - start)) >>"$work/$1.us"
}

# From the start of the agent, by its own records: the lab stands, the candidate is loaded, all is done.
phases() { # SCENARIO
	"$firedrill" test "$work/$1" --record "$work/evidence" >/dev/null || die "firedrill failed on the sweep $1"
	for record in lab loaded done; do
		sed -n "s/^{\"$record\":.*\"elapsed_us\":\([0-9]*\).*/\1/p" "$work/evidence/sweep.jsonl" | head -n 1
	done
}

# Runs in a lab of its own. $1 is the ruleset, $2 the name, the rest the command; its clock starts inside.
inside() {
	unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash -c '
		set -e
		ruleset=$1 found=$2
		shift 2
		mount -t tmpfs tmpfs /run && mkdir -p /run/netns
		ip netns add firewall
		ip link add eth0 type veth peer name eth0 netns firewall
		ip address add 192.0.2.77/24 dev eth0
		ip link set eth0 up
		ip link set lo up
		ip -n firewall address add 192.0.2.10/24 dev eth0
		ip -n firewall link set eth0 up
		mac=$(ip netns exec firewall cat /sys/class/net/eth0/address)
		ip neighbour replace 192.0.2.10 lladdr "$mac" dev eth0 nud permanent
		ip -n firewall neighbour replace 192.0.2.77 lladdr "$(cat /sys/class/net/eth0/address)" dev eth0 nud permanent
		ip netns exec firewall nft -f "$ruleset"
		command=("${@/#MAC/$mac}")
		start=${EPOCHREALTIME/./}
		rc=0
		"${command[@]}" >"$found" 2>"$found.errors" || rc=$?
		end=${EPOCHREALTIME/./}
		[ "$rc" = 0 ] || exit "$rc"
		ip netns exec firewall nft list ruleset | sed -n "s/.*counter packets \([0-9]*\).*/\1/p" >"$found.met"
		echo $((end - start))
	' lab "$work/rulesets/$1.nft" "$work/$2.found" "${@:3}" >>"$work/$2.us" ||
		{ tail -n 20 "$work/$2.found.errors" >&2; die "$2 failed"; }
}

sender() { # RULESET NAME
	inside "$1" "$2" "$work/sender" eth0 192.0.2.77 192.0.2.10 MAC
	# A yardstick that lost packets would be too short. Three ports do not come to the rule that counts.
	[ "$(cat "$work/$2.found.met")" = 65532 ] || die "the sender's packets did not all come to the ruleset"
}

nmap_fast() {
	inside drop nmap-fastest nmap -n -Pn -sS -p- -T5 --max-retries 0 --min-rate 100000 -oG - 192.0.2.10
}

# ---- what is there ------------------------------------------------------------------------------

missing=()
have() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || { missing+=("$1 (Debian package $2)") && return 1; }
}
have nmap nmap && with_nmap=1 || with_nmap=
have hping3 hping3 && with_hping=1 || with_hping=
"$python" -c 'import scapy' 2>/dev/null && with_scapy=1 || { with_scapy= && missing+=("scapy (Debian package python3-scapy)"); }

machine
echo "  firedrill  $("$firedrill" --version | awk '{ print $NF }')"
[ -z "$with_nmap" ] || echo "  nmap       $(nmap --version | awk '/^Nmap version/ { print $3 }')"
[ -z "$with_hping" ] || echo "  hping3     $(hping3 --version 2>&1 | awk 'NR == 1 { print $3 }')"
[ -z "$with_scapy" ] || echo "  scapy      $("$python" -c 'import scapy; print(scapy.VERSION)')"
for program in "${missing[@]}"; do
	echo "  left out   $program is not installed"
done
echo "work"
echo "  all TCP ports from a neighbour to the firewall, IPv4; policy drop, three ports open; $rounds rounds, whole process"

# ---- measurement --------------------------------------------------------------------------------

# Not counted: files come into the page cache.
drill tcp
sender drop sender
[ -z "$with_nmap" ] || nmap_fast
rm -f "$work"/*.us
for round in $(seq "$rounds"); do
	# Alternate who goes first, so that none always has the warmer machine.
	if [ $((round % 2)) = 1 ]; then order='drill sender nmap'; else order='nmap sender drill'; fi
	for who in $order; do
		case $who in
		drill) drill tcp ;;
		sender) sender drop sender ;;
		nmap) [ -z "$with_nmap" ] || nmap_fast ;;
		esac
	done
	drill accept
	sender accept sender-accept
	drill four
	phases tcp | paste -sd ' ' >>"$work/phases"
done
for ports in "$bounded" $((2 * bounded)); do
	[ -z "$with_nmap" ] || inside drop nmap nmap -n -Pn -sS -p "1-$ports" -oG - 192.0.2.10
	[ -z "$with_scapy" ] || inside drop scapy "$python" "$here/sweep/scan.py" eth0 192.0.2.10 "$ports"
done
[ -z "$with_hping" ] || inside drop hping3 hping3 --scan 1-65535 --faster -S -V 192.0.2.10

# ---- result -------------------------------------------------------------------------------------

nmap_found() { # NAME: of the ports of the ruleset, those that answered, open or closed
	local answered filtered
	answered=$(grep -o '[0-9]*/\(open\|closed\)/tcp' "$work/$1.found" | wc -l)
	filtered=$(sed -n 's/.*Ignored State: filtered (\([0-9]*\)).*/\1/p' "$work/$1.found")
	echo "$answered ports that answer, ${filtered:-0} \"filtered\": guessed from silence"
}

# Microseconds for all ports, from those for $bounded and for twice as many.
all_ports() { # NAME
	paste -sd ' ' "$work/$1.us" | awk -v ports="$bounded" '{ printf "%.0f", $1 + ($2 - $1) / ports * (65535 - ports) }'
}

extrapolated() { # LABEL NAME
	printf '  %-24s %s ms for %d ports, %s ms for %d; extrapolated to 65535: %.0f s\n' "$1" \
		"$(ms "$(sed -n 1p "$work/$2.us")")" "$bounded" "$(ms "$(sed -n 2p "$work/$2.us")")" $((2 * bounded)) \
		"$(all_ports "$2")e-6"
}

times() { # NAME: in units of firedrill's time
	awk -v a="$(all_ports "$1")" -v b="$(median_of "$work/tcp.us")" 'BEGIN { printf "%.0f", a / b }'
}

echo "result"
row 'minimal sender in C' "$work/sender.us"
row 'firedrill' "$work/tcp.us"
[ -z "$with_nmap" ] || row 'nmap at its fastest' "$work/nmap-fastest.us"
[ -z "$with_hping" ] || row 'hping3 --scan --faster' "$work/hping3.us"
[ -z "$with_nmap" ] || extrapolated 'nmap by default' nmap
[ -z "$with_scapy" ] || extrapolated 'scapy' scapy
row 'all accepted: sender' "$work/sender-accept.us"
row 'all accepted: firedrill' "$work/accept.us"
row 'TCP and UDP, v4 and v6' "$work/four.us"
echo "found"
echo "  minimal sender           $(cat "$work/sender.found") ports that answer"
echo "  firedrill                3 ports open, 65532 closed, as expected: each by its own packet"
[ -z "$with_nmap" ] || echo "  nmap at its fastest      $(nmap_found nmap-fastest)"
[ -z "$with_nmap" ] || echo "  nmap by default          $(nmap_found nmap)"
[ -z "$with_hping" ] || echo "  hping3                   $(grep -ac '^ *[0-9]* .*: \.' "$work/hping3.found" || true) ports that answer"
[ -z "$with_scapy" ] || echo "  scapy                    $(cat "$work/scapy.found") ports that answer"
echo "firedrill's time, by its own records"
awk '{ lab += $1; loaded += $2 - $1; probes += $3 - $2 } END {
	printf "  lab %.1f ms, ruleset %.1f ms, probes and proof %.1f ms (means)\n", lab / NR / 1000, loaded / NR / 1000, probes / NR / 1000
}' "$work/phases"
awk '{ print $3 - $2 }' "$work/phases" >"$work/probing.us"
sender=$(median_of "$work/sender.us")
echo "ratios of medians"
echo "  firedrill, whole process, to the minimal sender      $(ratio "$(median_of "$work/tcp.us")" "$sender") (wanted: at most 1.50)"
echo "  firedrill, probes and proof, to the minimal sender   $(ratio "$(median_of "$work/probing.us")" "$sender")"
[ -z "$with_nmap" ] || echo "  nmap at its fastest to firedrill                     $(ratio "$(median_of "$work/nmap-fastest.us")" "$(median_of "$work/tcp.us")") (wanted: more than 1)"
[ -z "$with_nmap" ] || echo "  nmap by default to firedrill, extrapolated           $(times nmap)"
[ -z "$with_hping" ] || echo "  hping3 to firedrill                                  $(ratio "$(median_of "$work/hping3.us")" "$(median_of "$work/tcp.us")")"
[ -z "$with_scapy" ] || echo "  scapy to firedrill, extrapolated                     $(times scapy)"
echo "  all accepted to all dropped, firedrill               $(ratio "$(median_of "$work/accept.us")" "$(median_of "$work/tcp.us")")"
echo "  all accepted, firedrill to the minimal sender        $(ratio "$(median_of "$work/accept.us")" "$(median_of "$work/sender-accept.us")")"
echo "  TCP and UDP, both families, whole process            $(ms "$(median_of "$work/four.us")") ms (wanted: less than 2000)"
