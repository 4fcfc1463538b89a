# Shared by the benchmark scripts of this folder; sourced, not run.

export LC_ALL=C

die() {
	echo "$0: $*" >&2
	exit 2
}

# The firedrill under test: $FIREDRILL, or this checkout's release build.
find_firedrill() {
	local root=$1
	if [ -n "${FIREDRILL:-}" ]; then
		command -v "$FIREDRILL" >/dev/null || die "FIREDRILL=$FIREDRILL cannot be run"
		readlink -f "$(command -v "$FIREDRILL")"
	else
		(cd "$root" && cargo build --release --quiet --features docker) >&2 || die "cargo build --release failed"
		echo "$root/target/release/firedrill"
	fi
}

# Microseconds now. EPOCHREALTIME always has six digits behind the point.
now_us() {
	echo "${EPOCHREALTIME/./}"
}

# stdin: one number per line; stdout: median, minimum, maximum.
summary() {
	sort -n | awk '
		{ v[NR] = $1 }
		END { print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2), v[1], v[NR] }'
}

ms() {
	awk -v us="$1" 'BEGIN { printf "%.1f", us / 1000 }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

row() { # label, file of microseconds per round
	local median min max
	read -r median min max < <(summary <"$2")
	printf '  %-24s median %9s ms   min %9s ms   max %9s ms\n' \
		"$1" "$(ms "$median")" "$(ms "$min")" "$(ms "$max")"
}

median_of() {
	summary <"$1" | cut -d' ' -f1
}

machine() {
	echo "machine"
	echo "  cpu        $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) usable"
	echo "  memory     $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
	echo "  load       $(cut -d' ' -f1-3 /proc/loadavg)"
	echo "  kernel     $(uname -sr)"
	echo "  nftables   $(nft --version | awk '{ print $2 }')"
	echo "  iproute2   $(ip -V | sed 's/.*iproute2-//; s/,.*//')"
}
