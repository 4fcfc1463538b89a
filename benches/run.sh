#!/usr/bin/env bash
#
# Runs every benchmark that can be run on this machine, one after the other, and writes docs/benchmarks.md.
#
#   sudo benches/run.sh [PAGE]
#
#   FIREDRILL=path   the firedrill to time (default: this checkout, built with --release)
#   ONLY=names       only these (of sweep many verdicts lab large explain docker peer parts), separated by blanks
#
# Each script says in its head what else it takes from the environment. What cannot be run is left out, and the
# page says why. Takes about ten minutes; nothing else should run meanwhile.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=benches/common.sh
. benches/common.sh

page=$(readlink -f "${1:-docs/benchmarks.md}")
only=${ONLY:-sweep many verdicts lab large explain docker peer parts}
work=$(mktemp -d "${TMPDIR:-/tmp}/firedrill-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp /proc/loadavg "$work/load"
FIREDRILL=$(find_firedrill "$PWD")
export FIREDRILL
# Whether something else runs: more than half a processor on average, before anything of ours did.
busy=$(awk '{ print ($1 > 0.5) }' "$work/load")

# What a script says of the machine stands at the head of the page, but for the versions of what it compares with.
without_machine() {
	awk '
		/^machine$/ { skip = 1; next }
		skip && /^  (cpu|memory|load|kernel|nftables|iproute2|firedrill) / { next }
		{ skip = 0; print }'
}

section() { # NAME HEADING INTRODUCTION COMMAND...
	local name=$1 heading=$2 introduction=$3
	shift 3
	[[ " $only " == *" $name "* ]] || return 0
	echo "$name ..." >&2
	printf '\n## %s\n\n%s\n\n' "$heading" "$introduction" >>"$work/page"
	if "$@" >"$work/out" 2>"$work/err"; then
		{ echo '```text' && without_machine <"$work/out" && echo '```'; } >>"$work/page"
	else
		echo "not run: $(tail -n 1 "$work/err")" >&2
		printf 'Could not be run on this machine: `%s`\n' "$(tail -n 1 "$work/err" | tr -d '`')" >>"$work/page"
	fi
}

needs() { # PROGRAM COMMAND...
	command -v "$1" >/dev/null || { echo "$1 is not installed" >&2 && return 1; }
	shift
	"$@"
}

parts() {
	cargo bench --quiet --manifest-path benches/criterion/Cargo.toml -- --noplot |
		sed -n '/^[a-z].*\/\|time:\|thrpt:/p'
}

{
	echo '# Benchmarks'
	echo
	echo 'Written by `benches/run.sh`, on the machine and with the versions below; not edited by hand. Each section is the output'
	echo 'of a script in `benches/`, whose head says what it does and how to run it alone. Times are of whole processes, from start to'
	echo 'exit status, unless it says otherwise. What is compared with each other was run in turn, in the same minutes: trust the ratios'
	echo 'more than the times. *Wanted* is the goal that the project has set itself; where it is missed, it says so by its number.'
	echo
	echo '```text'
	echo "date       $(date -u +%Y-%m-%d)"
	machine | sed -n 's/^  //p'
	echo "firedrill  $("$FIREDRILL" --version | awk '{ print $NF }')$(git rev-parse --short HEAD 2>/dev/null | sed 's/^/, commit /')"
	echo '```'
	if [ "$busy" = 1 ]; then
		echo
		echo '**The machine was busy with something else** (see its load): these numbers say how firedrill does on such a machine,'
		echo 'and the ratios are worth little.'
	fi
} >"$work/page"

section sweep 'Sweeps: every TCP port, beside what people use for that' \
	'The minimal sender is the yardstick: it sends the same packets as fast as the kernel takes them, and proves nothing.' \
	benches/sweep.sh
section many 'Many probes, scenarios and rules' \
	'Time and memory, and whether they grow in a straight line.' \
	benches/many.sh
section verdicts 'Drops beside accepts' \
	'The same fifty probes and rules, but for one word. Who waits for silence to tell a drop is slower here.' \
	benches/drops-vs-accepts.sh
section lab 'One lab' \
	'From the start of the agent to the loaded candidate.' \
	benches/lab.sh
section large 'Loading 5,000 rules' \
	'In the sandbox, beside the loader alone, which runs as root and may send everything at once.' \
	benches/large.sh
section explain 'Explaining an outage' \
	'One question, whole process, with the packets that would pass.' \
	benches/explain.sh
section docker 'Containers' \
	'A scenario in a container, beside the container itself.' \
	needs docker benches/docker.sh
section peer 'The closest peer' \
	'Ten scenarios of five probes, beside network-sandbox-engine; [benches/peer](../benches/peer/README.md) says what is compared.' \
	benches/peer/run.sh
section parts 'The parts by themselves' \
	'By criterion: lower bound, estimate and upper bound; of the whole, and per second.' \
	needs cargo parts

mv "$work/page" "$page"
chmod 644 "$page"
