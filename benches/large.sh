#!/usr/bin/env bash
# How long 5,000 rules take to load in the sandbox, against the loader alone: root's own nft and
# iptables-restore in a fresh network namespace, where they may send everything at once.
#
#   benches/large.sh [RUNS] [RULES]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/common.sh
. benches/common.sh

runs=${1:-11}
rules=${2:-5000}
[ "$(id -u)" = 0 ] || die "must be root, to run the loaders alone with all their rights"
firedrill=$(find_firedrill "$PWD")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/scenarios" "$folder/evidence"

awk -v n="$rules" 'BEGIN {
	print "*filter\n:INPUT DROP [0:0]"
	for (i = 0; i < n; i++)
		printf "-A INPUT -s 10.%d.%d.0/24 -p tcp -m tcp --dport %d -m comment --comment \"rule %d\" -j ACCEPT\n",
			i / 256, i % 256, 1 + i % 65000, i
	print "COMMIT"
}' >"$folder/scenarios/rules.v4"
awk -v n="$rules" 'BEGIN {
	print "table inet t {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;"
	for (i = 0; i < n; i++)
		printf "\t\tip saddr 10.%d.%d.0/24 tcp dport %d accept comment \"rule %d\"\n", i / 256, i % 256, 1 + i % 65000, i
	print "\t}\n}"
}' >"$folder/scenarios/rules.nft"

compare() { # NAME "FIREWALL" LOADER…
	local name=$1 firewall=$2
	shift 2
	cat >"$folder/scenarios/$name.yaml" <<-END
		firewall: { $firewall, interfaces: { eth0: 192.0.2.1/24 } }
		hosts: { a: { behind: eth0, address: 192.0.2.2 } }
		tests: [a -> firewall tcp/22: drop]
	END
	for _ in $(seq "$runs"); do
		local start
		start=$(now_us)
		unshare -n "$@"
		echo $(($(now_us) - start)) >>"$folder/$name.alone"
		"$firedrill" test "$folder/scenarios/$name.yaml" --record "$folder/evidence" >/dev/null
		# From the standing lab to the loaded and traced candidate.
		local lab loaded
		lab=$(sed -n 's/^{"lab":.*"elapsed_us":\([0-9]*\).*/\1/p' "$folder/evidence/$name.jsonl")
		loaded=$(sed -n 's/^{"loaded":.*"elapsed_us":\([0-9]*\).*/\1/p' "$folder/evidence/$name.jsonl")
		echo $((loaded - lab)) >>"$folder/$name.inside"
	done
	row "$name alone" "$folder/$name.alone"
	row "$name in firedrill" "$folder/$name.inside"
	echo "  ratio $(ratio "$(median_of "$folder/$name.inside")" "$(median_of "$folder/$name.alone")") (at most 1.50)"
}

machine
echo "$rules rules, $runs runs"
compare nft 'nftables: rules.nft' nft -f "$folder/scenarios/rules.nft"
compare iptables-nft 'iptables: rules.v4' iptables-nft-restore "$folder/scenarios/rules.v4"
compare iptables-legacy 'iptables: { v4: rules.v4, backend: legacy }' iptables-legacy-restore "$folder/scenarios/rules.v4"
