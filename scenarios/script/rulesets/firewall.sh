#!/bin/bash
# The firewall of a small office, as it has been handed down since 2009.
set -euo pipefail

WAN=eth0
LAN=eth1
LAN_NET=10.0.0.0/24
OPEN_TCP="80 443"
ADMINS="203.0.113.5 203.0.113.6"

both() { iptables "$@"; ip6tables "$@"; }

for table in filter nat mangle; do
	both -t $table -F
	both -t $table -X
done
both -P INPUT DROP
both -P FORWARD DROP
both -P OUTPUT ACCEPT

both -A INPUT -i lo -j ACCEPT
both -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
both -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT

for port in $OPEN_TCP; do
	both -A INPUT -i $WAN -p tcp --dport "$port" -j ACCEPT
done
for admin in $ADMINS; do
	iptables -A INPUT -i $WAN -s "$admin" -p tcp --dport 22 -j ACCEPT
done
iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT
ip6tables -A INPUT -p ipv6-icmp -j ACCEPT

iptables -A FORWARD -i $LAN -o $WAN -s $LAN_NET -j ACCEPT
both -A FORWARD -i $LAN -o $WAN -j REJECT
iptables -t nat -A POSTROUTING -o $WAN -s $LAN_NET -j MASQUERADE

mkdir -p /etc/iptables
iptables-save > /etc/iptables/rules.v4
ip6tables-save > /etc/iptables/rules.v6
echo "firewall is up: $(iptables -S | wc -l) rules for IPv4, $(ip6tables -S | wc -l) for IPv6"
