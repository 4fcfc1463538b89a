#!/usr/bin/env bash
#
# What many probes, many scenarios and many rules cost: time and memory, and whether both grow in a straight line.
#
#   benches/many.sh
#
#   FIREDRILL=path   the firedrill to time (default: this checkout, built with --release)
#   ROUNDS=9         measured rounds of what takes less than a second; what takes longer runs a third as often
#
# All is timed as the whole process: reading the scenarios, building the labs, loading, probing, judging, reporting.
# Memory is the peak of the largest single process, firedrill or one of its agents, by GNU time.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"

rounds=${ROUNDS:-9}
[ "$rounds" -ge 1 ] || die "ROUNDS must be at least 1"
[ -x /usr/bin/time ] || die "GNU time is missing (Debian package time)"
few=$(((rounds + 2) / 3))

work=$(mktemp -d "${TMPDIR:-/tmp}/firedrill-many.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
firedrill=$(find_firedrill "$here/..")

# ---- the work -----------------------------------------------------------------------------------

head_of() { # RULESET
	echo "firewall: { nftables: $1, interfaces: { eth0: 192.0.2.10/24 } }"
	echo "hosts: { client: { behind: eth0, address: 192.0.2.77 } }"
	echo "tests:"
}

# Tests, a line each, that the ruleset below decides in five ways.
mixed() { # COUNT
	awk -v count="$1" 'BEGIN {
		for (n = 0; n < count; n++) {
			port = 1000 + int(n / 5)
			if (n % 5 == 0) print "  - client -> firewall tcp/" port ": accept"
			if (n % 5 == 1) print "  - client -> firewall udp/" port ": drop"
			if (n % 5 == 2) print "  - client -> firewall tcp/" 30000 + port ": { reject: tcp-reset }"
			if (n % 5 == 3) print "  - client -> firewall udp/" 30000 + port ": accept"
			if (n % 5 == 4) print "  - client -> firewall tcp/" 20000 + port ": drop"
		}
	}'
}

folder() { # NAME SCENARIOS PROBES
	local n
	mkdir "$work/$1"
	cat >"$work/$1/rules.nft" <<-NFT
		table inet filter {
			chain input {
				type filter hook input priority filter; policy drop;
				ct state established,related accept
				ct state invalid drop
				tcp dport 1000-19999 accept
				tcp dport 30000-60000 reject with tcp reset
				udp dport 1000-19999 counter drop comment "no datagrams"
				udp dport 30000-60000 accept
			}
		}
	NFT
	{ head_of rules.nft && mixed "$3"; } >"$work/first.yaml"
	for n in $(seq "$2"); do
		cp "$work/first.yaml" "$work/$1/$(printf %05d "$n").yaml"
	done
	rm "$work/first.yaml"
}

# A hundred thousand lines would be too big a scenario. So: hosts, each with a test of many ports.
one_scenario() { # NAME CASES
	mkdir "$work/$1"
	printf 'table inet filter {\n chain input {\n  type filter hook input priority filter; policy drop;\n  tcp dport 1-500 accept\n }\n}\n' \
		>"$work/$1/rules.nft"
	awk -v hosts=$(($2 / 1000)) 'BEGIN {
		print "firewall: { nftables: rules.nft, interfaces: { eth0: 192.0.2.10/24 } }"
		print "hosts:"
		for (h = 1; h <= hosts; h++) print "  c" h ": { behind: eth0, address: 192.0.2." 100 + h " }"
		print "tests:"
		for (h = 1; h <= hosts; h++)
			for (half = 0; half < 2; half++) {
				printf "  - c%d -> firewall tcp/", h
				for (port = 1; port <= 500; port++) printf "%s%d", port == 1 ? "" : ",", half * 500 + port
				print half ? ": drop" : ": accept"
			}
	}' >"$work/$1/one.yaml"
}

# NAME ROUNDS CASES: microseconds to $work/NAME.us, KiB of memory to $work/NAME.kib
run() {
	local start end
	for _ in $(seq "$2"); do
		start=$(now_us)
		/usr/bin/time -o "$work/memory" -f %M "$firedrill" test "$work/$1" >"$work/log" 2>&1 ||
			{ tail -n 20 "$work/log" >&2; die "firedrill failed on $1"; }
		end=$(now_us)
		grep -q "^passed: $3 cases of .* $3 pass" "$work/log" || { tail -n 3 "$work/log" >&2; die "$1 is not $3 cases"; }
		echo $((end - start)) >>"$work/$1.us"
		tail -n 1 "$work/memory" >>"$work/$1.kib"
	done
}

mib() { # NAME
	awk -v kib="$(median_of "$work/$1.kib")" 'BEGIN { printf "%.0f", kib / 1024 }'
}

wanted() { # LABEL NAME LIMIT
	row "$1" "$work/$2.us"
	printf '  %-24s wanted: less than %s; memory %s MiB\n' '' "$3" "$(mib "$2")"
}

machine
echo "  firedrill  $("$firedrill" --version | awk '{ print $NF }')"

# ---- small and many -----------------------------------------------------------------------------

folder fifty 1 50
folder ten 10 5
folder hundreds 500 20
run fifty 1 50 && rm "$work/fifty.us" "$work/fifty.kib" # Not counted: files come into the page cache.
run fifty "$rounds" 50
run ten "$rounds" 50
run hundreds "$few" 10000
echo "mixed probes, whole process"
wanted '50 in one scenario' fifty '60 ms'
wanted '10 scenarios of 5' ten '250 ms'
wanted '500 scenarios of 20' hundreds '15000 ms'

# ---- memory -------------------------------------------------------------------------------------

folder dozens 50 20
folder thousands 2000 20
run dozens 1 1000
run thousands 1 40000
echo "memory, scenarios of 20 probes (wanted: less than 100 MiB, flat)"
for name in dozens hundreds thousands; do
	count=$(find "$work/$name" -name '*.yaml' | wc -l)
	printf '  %4d scenarios           %4d MiB   %6.0f us per scenario\n' "$count" "$(mib "$name")" \
		"$(ratio "$(median_of "$work/$name.us")" "$count")"
done

# ---- a straight line ----------------------------------------------------------------------------

echo "up to 100,000 cases in one run (wanted: a straight line)"
for cases in 1000 10000 100000; do
	one_scenario "one-$cases" "$cases"
	mkdir "$work/each-$cases"
	cp "$work/one-1000/rules.nft" "$work/each-$cases"
	for n in $(seq $((cases / 1000))); do
		cp "$work/one-1000/one.yaml" "$work/each-$cases/$(printf %05d "$n").yaml"
	done
	for shape in one each; do
		run "$shape-$cases" "$([ "$cases" = 100000 ] && echo 1 || echo "$few")" "$cases"
		median=$(median_of "$work/$shape-$cases.us")
		printf '  %6d cases, %-21s %9s ms   %5.1f us per case   %4d MiB\n' "$cases" \
			"$([ "$shape" = one ] && echo 'one scenario' || echo 'scenarios of 1000')" \
			"$(ms "$median")" "$(ratio "$median" "$cases")" "$(mib "$shape-$cases")"
	done
done

# ---- many rules ---------------------------------------------------------------------------------

# The same probes, decided by the same rule: once there are 5,000 rules in front of it. A run also lists the rules, with
# nft, to know them by their handles; what that takes alone is told too.
rules() { # COUNT
	awk -v n="$1" 'BEGIN {
		print "table inet t {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;"
		for (i = 0; i < n; i++)
			printf "\t\tip saddr 10.%d.%d.0/24 tcp dport %d accept comment \"rule %d\"\n", i / 256, i % 256, 1 + i % 65000, i
		print "\t\ttcp dport 1000-1024 accept\n\t}\n}"
	}'
}

for name in small large; do
	mkdir "$work/$name"
	rules "$([ "$name" = small ] && echo 1 || echo 5000)" >"$work/$name/rules.nft"
	{
		head_of rules.nft
		for n in $(seq 1000 1024); do
			echo "  - client -> firewall tcp/$n: accept"
			echo "  - client -> firewall udp/$n: drop"
		done
	} >"$work/$name/suite.yaml"
done
if [ "$(id -u)" = 0 ]; then alone=(unshare --net); else alone=(unshare --user --map-root-user --net); fi
for _ in $(seq "$rounds"); do
	run small 1 50
	run large 1 50
	"${alone[@]}" bash -c '
		start=${EPOCHREALTIME/./}
		nft -f "$1" || exit
		loaded=${EPOCHREALTIME/./}
		nft -s -t -a list ruleset | cat >/dev/null || exit
		echo $((loaded - start)) >>"$2/nft.us"
		echo $((${EPOCHREALTIME/./} - loaded)) >>"$2/list.us"
	' alone "$work/large/rules.nft" "$work" 2>"$work/log" || break
done
echo "5,000 rules, 50 probes, whole process"
row 'one rule' "$work/small.us"
row '5,000 rules' "$work/large.us"
if [ -s "$work/nft.us" ]; then
	row 'nft alone, loading' "$work/nft.us"
	row 'nft alone, listing' "$work/list.us"
	awk -v large="$(median_of "$work/large.us")" -v small="$(median_of "$work/small.us")" \
		-v load="$(median_of "$work/nft.us")" -v list="$(median_of "$work/list.us")" 'BEGIN {
		printf "  (5,000 rules - one rule) / nft loading               %.2f (wanted: at most 1.30)\n", (large - small) / load
		printf "  (5,000 rules - one rule) / nft loading and listing   %.2f\n", (large - small) / (load + list)
	}'
else
	echo "  nft alone                cannot load so many rules without being root: $(head -n 1 "$work/log")"
fi
