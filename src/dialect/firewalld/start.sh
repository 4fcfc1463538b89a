# Has the bus start firewalld, waits for its answer, and binds interfaces to zones: INTERFACE=ZONE …
# The bus holds a message back until firewalld owns its name, and firewalld answers once it has loaded
# everything. Where it could not, it runs on with other rules than ours: that is a failure here. What it
# complains of and overcomes is shown.
for program in firewalld dbus-send; do
    command -v "$program" >/dev/null || { echo "missing $program" >&2; exit 1; }
done
service=org.fedoraproject.FirewallD1
log=/var/log/firewalld
call() {
    dbus-send --bus=unix:path=/run/dbus/system_bus_socket --print-reply=literal --reply-timeout=50000 \
        --dest="$service" /org/fedoraproject/FirewallD1 "$@" 2>&1
}
state=$(call org.freedesktop.DBus.Properties.Get "string:$service" string:state)
case $state in
*RUNNING)
    for binding; do
        said=$(call "$service.zone.changeZoneOfInterface" \
            "string:${binding#*=}" "string:${binding%%=*}") || {
            echo "binding $binding: $said" >&2
            exit 1
        }
    done
    sed -nE 's/^[-0-9: ]*(ERROR|WARNING): /firewalld: /p' "$log"
    exit 0
    ;;
esac
# Every error, with what follows it.
awk '/ [A-Z]+[0-9]?: / { error = / ERROR: / } error' "$log" >&2
grep -q ' ERROR: ' "$log" || echo "firewalld does not run: $state" >&2
exit 1
