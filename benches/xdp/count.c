// Counts the datagrams a router delivers, at the subscribers' end of the wire, and takes them off it.
//
// Two programs that do the same at two places:
//   count_packets  XDP: sees every packet as it would be on a cable; trains were split before.
//   count_trains   tc ingress: sees trains whole, as a card that segments UDP takes them.
//
// RTP (RFC 7983: first byte 128 to 191, but not RTCP, RFC 5761 §4) to any UDP port is counted by port and by DSCP and
// dropped, but for one packet (or train) in `sample_every`, which goes on to its socket to be timed. So are answers to
// STUN checks (RFC 8489 §5: type 0x0101) while `drop_answers` says so: read by sockets of this host, they would be freed on
// the router's core, at its cost, which no client far away can do. Everything else passes untouched. IPv4 without options and IPv6 without extension headers; the bench sends nothing else.
//
// Built by benches/xdp/build; the object beside it is committed, so that the bench needs no compiler.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#define NULL ((void *)0)
#define INLINE static __attribute__((always_inline)) inline
#define BIG_ENDIAN_16(value) __builtin_bswap16(value)

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)BPF_FUNC_skb_load_bytes;

// What a test compares with the source's own hash, and what it needs to know before it builds another.
SEC("source.sha256") const char source_sha256[] = SOURCE_SHA256;
SEC("built.by") const char compiler[] = COMPILER;

struct tally {
    __u64 packets;
    __u64 bytes; // of UDP payload
};

// BTF-defined maps, as every loader reads them.
#define UINT(name, value) int(*name)[value]
#define TYPE(name, type) type *name

// By destination port, host byte order.
struct {
    UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    UINT(max_entries, 65536);
    TYPE(key, __u32);
    TYPE(value, struct tally);
} by_port SEC(".maps");

// By DSCP.
struct {
    UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    UINT(max_entries, 64);
    TYPE(key, __u32);
    TYPE(value, struct tally);
} by_mark SEC(".maps");

// One packet in so many goes on; 0: none.
struct {
    UINT(type, BPF_MAP_TYPE_ARRAY);
    UINT(max_entries, 1);
    TYPE(key, __u32);
    TYPE(value, __u64);
} sample_every SEC(".maps");

// Not 0: nobody waits for an answer to a check.
struct {
    UINT(type, BPF_MAP_TYPE_ARRAY);
    UINT(max_entries, 1);
    TYPE(key, __u32);
    TYPE(value, __u64);
} drop_answers SEC(".maps");

// Arrivals so far, to count off the samples.
struct {
    UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    UINT(max_entries, 1);
    TYPE(key, __u32);
    TYPE(value, __u64);
} arrivals SEC(".maps");

struct datagram {
    __u32 port;
    __u32 mark;
    __u32 bytes;
};

// Fills `found` from the headers; answers where the payload begins, or null when this is not UDP.
INLINE __u8 *parse(void *data, void *end, struct datagram *found)
{
    struct ethhdr *ethernet = data;
    if ((void *)(ethernet + 1) > end)
        return NULL;
    struct udphdr *udp;
    if (ethernet->h_proto == BIG_ENDIAN_16(ETH_P_IP)) {
        struct iphdr *ip = (void *)(ethernet + 1);
        if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_UDP || ip->ihl != 5)
            return NULL;
        found->mark = ip->tos >> 2;
        udp = (void *)(ip + 1);
    } else if (ethernet->h_proto == BIG_ENDIAN_16(ETH_P_IPV6)) {
        struct ipv6hdr *ip = (void *)(ethernet + 1);
        if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP)
            return NULL;
        found->mark = (ip->priority << 2) | (ip->flow_lbl[0] >> 6);
        udp = (void *)(ip + 1);
    } else {
        return NULL;
    }
    if ((void *)(udp + 1) > end)
        return NULL;
    found->port = BIG_ENDIAN_16(udp->dest);
    found->bytes = BIG_ENDIAN_16(udp->len) - sizeof(*udp);
    return (void *)(udp + 1);
}

INLINE int is_rtp(const __u8 *payload)
{
    return payload[0] >= 128 && payload[0] <= 191 && !(payload[1] >= 192 && payload[1] <= 223);
}

INLINE int is_unwanted_answer(const __u8 *payload)
{
    __u32 zero = 0;
    __u64 *drop = map_lookup(&drop_answers, &zero);
    return payload[0] == 1 && payload[1] == 1 && drop && *drop;
}

INLINE void add(void *map, __u32 key, __u64 packets, __u64 bytes)
{
    struct tally *tally = map_lookup(map, &key);
    if (tally) {
        tally->packets += packets;
        tally->bytes += bytes;
    }
}

// Counts an arrival of so many packets; answers whether it is a sample.
INLINE int count(const struct datagram *found, __u64 packets, __u64 bytes)
{
    __u32 zero = 0;
    add(&by_port, found->port, packets, bytes);
    add(&by_mark, found->mark & 63, packets, bytes);
    __u64 *every = map_lookup(&sample_every, &zero);
    __u64 *so_far = map_lookup(&arrivals, &zero);
    if (!every || !so_far || !*every)
        return 0;
    *so_far += 1;
    return *so_far % *every == 0;
}

SEC("xdp") int count_packets(struct xdp_md *context)
{
    void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    struct datagram found = {};
    __u8 *payload = parse(data, end, &found);
    if (!payload || (void *)(payload + 2) > end)
        return XDP_PASS;
    if (!is_rtp(payload))
        return is_unwanted_answer(payload) ? XDP_DROP : XDP_PASS;
    return count(&found, 1, found.bytes) ? XDP_PASS : XDP_DROP;
}

SEC("classifier") int count_trains(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct datagram found = {};
    __u8 *start = parse(data, end, &found);
    // Only the headers of a train lie in one piece.
    __u8 payload[2];
    if (!start || load_bytes(skb, (void *)start - data, payload, sizeof(payload)) < 0)
        return TC_ACT_OK;
    if (!is_rtp(payload))
        return is_unwanted_answer(payload) ? TC_ACT_SHOT : TC_ACT_OK;
    __u32 packets = skb->gso_segs > 1 ? skb->gso_segs : 1;
    return count(&found, packets, found.bytes) ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("license") const char license_name[] = "Apache-2.0";
