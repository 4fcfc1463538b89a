#!/usr/bin/env bash
# How long the outage of 2024-04-05 takes to explain: one command, whole process and cold, in both families, with
# the nearest packets that pass.
#
#   benches/explain.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/common.sh
. benches/common.sh

runs=${1:-21}
firedrill=$(find_firedrill "$PWD")

explain() {
	"$firedrill" explain scenarios/outage/app-server.yaml \
		--candidate scenarios/outage/rulesets/app-server-2024-04-05.nft "internet -> firewall tcp/443" "$@"
}

machine
explain | grep -q 'app-server-2024-04-05.nft:77 `iifname != @known_ifs' || {
	echo 'the offending line is not named' >&2
	exit 1
}
for _ in $(seq "$runs"); do
	began=$(now_us)
	explain >/dev/null
	echo $(($(now_us) - began))
done | summary | while read -r median min max; do
	printf '  explain the outage: median %s ms, min %s ms, max %s ms\n' \
		"$(ms "$median")" "$(ms "$min")" "$(ms "$max")"
done
