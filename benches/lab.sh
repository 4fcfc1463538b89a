#!/usr/bin/env bash
# How long one lab takes from the start of the agent to the loaded candidate, and how much memory a
# whole run needs at its peak (the largest single process, by GNU time if it is installed).
#
#   benches/lab.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/common.sh
. benches/common.sh

runs=${1:-21}
firedrill=$(find_firedrill "$PWD")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

measure() { # SCENARIO
	for _ in $(seq "$runs"); do
		"$firedrill" test "$1" --record "$folder" >/dev/null
		# The time at which the agent reported the candidate as loaded, in microseconds; further labs come later.
		sed -n '/"loaded":/ { s/.*"elapsed_us":\([0-9]*\).*/\1/p; q }' "$folder"/*/*.jsonl
		rm -rf "${folder:?}"/*
	done | summary
}

machine
for scenario in scenarios/outage/app-server.yaml scenarios/gateway/stateful-gateway.yaml; do
	read -r median min max < <(measure "$scenario")
	printf '  %-42s start to candidate loaded: median %s ms, min %s ms, max %s ms\n' \
		"$scenario" "$(ms "$median")" "$(ms "$min")" "$(ms "$max")"
done
if [ -x /usr/bin/time ]; then
	/usr/bin/time -f '  peak memory of one process, all shipped scenarios: %M KiB' \
		"$firedrill" test >/dev/null
else
	echo '  (GNU time is not installed: no memory figure)'
fi
