"""Scapy as its documentation scans ports: sr() of a range, and who answered.

scan.py INTERFACE DESTINATION LAST-PORT; prints how many ports answered.
"""

import sys

from scapy.all import IP, TCP, conf, sr

interface, destination, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
conf.iface = interface
answered, _ = sr(IP(dst=destination) / TCP(sport=40000, dport=(1, last), flags="S"), timeout=1, verbose=0)
print(len({query[TCP].dport for query, _ in answered}))
