#!/usr/bin/env bash
# What a scenario costs in a container, beside what a container costs by itself and what the scenario costs on
# this machine; and what ten scenarios cost side by side.
#
#   benches/docker.sh [ROUNDS]
#
# Needs a container engine. $FIREDRILL_BASE names what the standard image is built upon, where no registry is
# reached: containers/make-base.sh bookworm; FIREDRILL_BASE=firedrill/base:bookworm benches/docker.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=benches/common.sh
. benches/common.sh

rounds=${1:-15}
firedrill=$(find_firedrill "$PWD")
docker version >/dev/null || die 'no container engine'
image=$("$firedrill" images build)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for number in $(seq 10); do
	mkdir -p "$folder/ten/$number"
	cp -r scenarios/outage/app-server.yaml scenarios/outage/rulesets "$folder/ten/$number"
done

measure() { # NAME COMMAND...
	local name=$1 started
	shift
	started=$(now_us)
	"$@" >"$folder/said" 2>&1 || die "$name failed: $(cat "$folder/said")"
	echo $(($(now_us) - started)) >>"$folder/$name.us"
}

one=(test scenarios/outage/app-server.yaml)
container=(--launcher docker --image "$image")
# The agent is put upon the image, and everything is in the page cache.
"$firedrill" "${one[@]}" "${container[@]}" >/dev/null
for _ in $(seq "$rounds"); do
	measure run docker run --network none --label dev.firedrill.bench=1 "$image" true
	measure embedded "$firedrill" "${one[@]}"
	measure docker "$firedrill" "${one[@]}" "${container[@]}"
	measure ten "$firedrill" test "$folder/ten" --jobs 4 "${container[@]}"
	docker ps --all --quiet --filter label=dev.firedrill.bench=1 | xargs docker rm --force >/dev/null
done

machine
echo "  engine     $(docker version --format '{{.Server.Version}}'), $(docker info --format '{{.Driver}}')"
row 'docker run IMAGE true' "$folder/run.us"
row 'one scenario, embedded' "$folder/embedded.us"
row 'one scenario, docker' "$folder/docker.us"
row 'ten scenarios, --jobs 4' "$folder/ten.us"
run=$(median_of "$folder/run.us")
embedded=$(median_of "$folder/embedded.us")
docker=$(median_of "$folder/docker.us")
ten=$(median_of "$folder/ten.us")
awk -v run="$run" -v embedded="$embedded" -v docker="$docker" -v ten="$ten" 'BEGIN {
	printf "  (one - embedded) / docker run   %.2f   (wanted: at most 1.20)\n", (docker - embedded) / run
	printf "  ten / (10 * one)                %.2f   (wanted: at most 0.33)\n", ten / (10 * docker)
}'
