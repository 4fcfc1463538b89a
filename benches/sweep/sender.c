/*
 * The least that can find out which TCP ports a firewall lets through: 65,535 SYN frames, built beforehand,
 * out of a packet socket with sendmmsg, and a look at what came back. No barrier, no proof, no reason: a
 * port without an answer may have been dropped, or lost. What is left is the kernel's own time.
 *
 *   sender INTERFACE SOURCE DESTINATION DESTINATION-MAC
 *
 * Prints how many ports answered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { PORTS = 65535, BATCH = 128, SPORT = 40000 };

struct frame {
	struct ether_header ether;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static struct frame frames[PORTS];
static unsigned char answered[PORTS + 1];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t add(const void *data, size_t length, uint32_t sum)
{
	const unsigned char *byte = data;
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	return sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void read_answers(int fd)
{
	struct {
		struct frame frame;
		unsigned char rest[128];
	} got;
	ssize_t length;
	while ((length = recv(fd, &got, sizeof got, MSG_DONTWAIT)) >= (ssize_t)sizeof got.frame)
		if (got.frame.ip.protocol == IPPROTO_TCP && ntohs(got.frame.tcp.dest) == SPORT)
			answered[ntohs(got.frame.tcp.source)] = 1;
	if (length < 0 && errno != EAGAIN)
		fail("recv");
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: sender INTERFACE SOURCE DESTINATION DESTINATION-MAC\n");
		return 2;
	}
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));
	if (fd < 0)
		fail("packet socket");
	int on = 1, room = 64 << 20;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0)
		fail("PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	struct sockaddr_ll link = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(argv[1]),
	};
	if (!link.sll_ifindex || bind(fd, (struct sockaddr *)&link, sizeof link) < 0)
		fail(argv[1]);
	struct ifreq request = { 0 };
	strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		fail("hardware address");
	struct ether_addr *mac = ether_aton(argv[4]);
	struct in_addr source, destination;
	if (!mac || !inet_aton(argv[2], &source) || !inet_aton(argv[3], &destination)) {
		fprintf(stderr, "sender: an address cannot be read\n");
		return 2;
	}

	for (int i = 0; i < PORTS; i++) {
		struct frame *f = &frames[i];
		memcpy(f->ether.ether_dhost, mac, ETH_ALEN);
		memcpy(f->ether.ether_shost, request.ifr_hwaddr.sa_data, ETH_ALEN);
		f->ether.ether_type = htons(ETH_P_IP);
		f->ip.version = 4;
		f->ip.ihl = 5;
		f->ip.tot_len = htons(sizeof f->ip + sizeof f->tcp);
		f->ip.id = htons((uint16_t)i);
		f->ip.ttl = 64;
		f->ip.protocol = IPPROTO_TCP;
		f->ip.saddr = source.s_addr;
		f->ip.daddr = destination.s_addr;
		f->ip.check = finish(add(&f->ip, sizeof f->ip, 0));
		f->tcp.source = htons(SPORT);
		f->tcp.dest = htons((uint16_t)(i + 1));
		f->tcp.seq = htonl((uint32_t)i << 8);
		f->tcp.doff = 5;
		f->tcp.syn = 1;
		f->tcp.window = htons(1024);
		uint32_t pseudo = add(&f->ip.saddr, 8, IPPROTO_TCP + sizeof f->tcp);
		f->tcp.check = finish(add(&f->tcp, sizeof f->tcp, pseudo));
	}

	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH];
	for (int first = 0; first < PORTS;) {
		unsigned int count = PORTS - first < BATCH ? PORTS - first : BATCH;
		for (unsigned int i = 0; i < count; i++) {
			vectors[i] = (struct iovec){ &frames[first + i], sizeof frames[0] };
			messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &vectors[i], .msg_iovlen = 1 } };
		}
		int sent = sendmmsg(fd, messages, count, 0);
		if (sent < 0 && errno != EINTR && errno != ENOBUFS)
			fail("sendmmsg");
		if (sent > 0)
			first += sent;
		read_answers(fd);
	}
	int open = 0;
	for (int port = 1; port <= PORTS; port++)
		open += answered[port];
	printf("%d\n", open);
	return 0;
}
