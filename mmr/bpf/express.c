// The express plane: replicates the media of native UDP links in the kernel, below the sockets, in whole trains.
//
//   wire ─▶ GRO ─▶ express ─┬─ for each destination: headers rewritten, clone sent ─▶ its device
//                           └─ the original, as it came, with a mark ─▶ its worker's socket
//
// Attached at tc ingress. Ours is a packet or train of RTP (RFC 7983, RFC 5761) over UDP to a listen address, of a layer
// in the table: IPv4 without options or IPv6 without extension headers, no fragment, no VLAN tag (a VLAN's own device
// shows its packets without). Everything else goes on untouched, to the sockets, which know all that is unusual.
//
// The mark tells the worker which version of the layer's destinations was served: it serves the others. All tables are
// the control thread's (mmr/src/express), which swaps a layer's whole run of destinations by one update.
//
// Built by mmr/bpf/build; the object beside it is committed, so that building mmr needs no clang.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#define NULL ((void *)0)
#define INLINE static __attribute__((always_inline)) inline
#define BIG_ENDIAN_16(value) __builtin_bswap16(value)
#define COPY(to, from, size) __builtin_memcpy(to, from, size)

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*now_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static long (*pull)(struct __sk_buff *skb, __u32 len) = (void *)BPF_FUNC_skb_pull_data;
static long (*load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 len, __u64 flags) =
    (void *)BPF_FUNC_skb_store_bytes;
static long (*replace_l4_sum)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags) =
    (void *)BPF_FUNC_l4_csum_replace;
static __s64 (*update_sum)(struct __sk_buff *skb, __u32 sum) = (void *)BPF_FUNC_csum_update;
static long (*clone_redirect)(struct __sk_buff *skb, __u32 device, __u64 flags) = (void *)BPF_FUNC_clone_redirect;
static long (*loop)(__u32 times, void *body, void *context, __u64 flags) = (void *)BPF_FUNC_loop;

// What a test compares with the source's own hash, and what it needs to know before it builds another.
SEC("source.sha256") const char source_sha256[] = SOURCE_SHA256;
SEC("built.by") const char compiler[] = COMPILER;

// Let whatever is attached behind us see the packet, too: another MMR on this host, for example (TCX_NEXT).
#define GO_ON (-1)
// What a whole layer may be sent to: 1.6 ms of its core at 390 ns a copy, which a prototype took for single packets of
// 1200 bytes over veth.
#define DESTINATIONS_MAX 4096
// UDP_MAX_SEGMENTS of Linux 6.9 and later; 64 before.
#define PACKETS_MAX 128
#define CHUNK 15
#define IP_DONT_FRAGMENT BIG_ENDIAN_16(0x4000)
#define IP_FRAGMENT BIG_ENDIAN_16(0x3fff)
#define HOP_LIMIT 64
#define RTP_HEADER 12
// A smaller packet counts as this many bytes (router::limits::POLICE_PACKET_BYTES_MIN).
#define PACKET_BYTES_MIN 64
// In a mark: the layer is over its rate, nobody was served and nobody must be.
#define OVER_RATE 0x4d4cffff
// One packet or train in so many is timed; a power of two.
#define TIMED_EVERY 64
#define BUCKETS 32
// Sequence numbers that are remembered of each layer; a power of two.
#define REMEMBERED 256

/* Tables. mmr/src/express/layout.rs lays their values out as here. */

#define UINT(name, value) int(*name)[value]
#define TYPE(name, type) type *name
#define SHARED(kind, max, key_type, value_type, flags) \
    struct {                                           \
        UINT(type, kind);                              \
        UINT(max_entries, max);                        \
        UINT(map_flags, flags);                        \
        TYPE(key, key_type);                           \
        TYPE(value, value_type);                       \
    }

struct listen_key {
    __u8 address[16]; // IPv4 as ::ffff:a.b.c.d
    __be16 port;
    __u16 zero;
};

struct layer_key {
    __u8 source[16];
    __be32 ssrc;
    __be16 port;
    __u16 listen; // which of the router's sockets
};

// Entries of the hashes are replaced, not changed; but the kernel may give the memory of one that was replaced to the next
// at once, while a packet on another core still reads it. So what an entry is of stands at both of its ends: read last to
// first, it was one and the same entry if both are right.

struct layer {
    __be32 ssrc;
    __u32 generation; // for the mark; never 0
    __u32 chunk;      // first of its run
    __u32 count;      // destinations in its run
    __u32 index;      // its place in the router's tables
    __u32 kind;
    __u64 price_256; // of a byte, in 1/256 ns
    __u64 burst_ns;
    __u32 size_max; // largest IP packet that fits every destination's device
    __be32 ssrc_again;
};

struct chunk {
    __u32 destinations[CHUNK];
    __u32 next;
};

struct destination {
    __u32 number;
    __u32 device;
    __u32 index; // its link's place in the router's tables
    __u8 macs[12];
    __be16 ports[2];
    __u8 source[16];
    __u8 address[16];
    __u32 addresses_sum; // ones' complement sum of both, as they stand in memory
    __u8 traffic_class;
    __u8 v6;
    __u16 zero;
    __u32 number_again;
};

struct memory {
    __u64 paid_at; // when everything taken so far is paid for (router/src/data/police.rs)
    // By the number's low bits; overwritten long before it comes again. Inverted: at first only 65535 seems seen, and no
    // layer starts near it (docs/protocol.md).
    __u16 seen[REMEMBERED];
};

struct tally {
    __u64 packets;
    __u64 bytes; // of RTP
    __u64 lost;  // packets: over rate (layer), refused by the device (destination)
};

enum outcome {
    SERVED,      // packets of a layer whose run was served
    MARKED,      // somebody else uses marks on this host
    MIXED,       // a train that is not one layer's RTP, in sequence
    REPEATED,    // seen a moment ago: the worker tells a repair from a replay
    TOO_LARGE,   // for some destination's device
    OVER,        // the layer's rate
    GONE,        // copies whose destination went a moment ago
    REFUSED,     // copies the device did not take
    UNWRITABLE,  // copies that could not be made: no memory
    OUTCOMES,
};

SHARED(BPF_MAP_TYPE_HASH, 256, struct listen_key, __u32, BPF_F_NO_PREALLOC) listens SEC(".maps");
SHARED(BPF_MAP_TYPE_HASH, 65536, struct layer_key, struct layer, BPF_F_NO_PREALLOC) layers SEC(".maps");
SHARED(BPF_MAP_TYPE_HASH, 65536, __u32, struct destination, BPF_F_NO_PREALLOC) destinations SEC(".maps");
SHARED(BPF_MAP_TYPE_ARRAY, 65536, __u32, struct chunk, 0) chunks SEC(".maps");
// By layer. A core that races another errs by one train.
SHARED(BPF_MAP_TYPE_ARRAY, 65536, __u32, struct memory, 0) memories SEC(".maps");
SHARED(BPF_MAP_TYPE_PERCPU_ARRAY, 65536, __u32, struct tally, 0) by_layer SEC(".maps");
SHARED(BPF_MAP_TYPE_PERCPU_ARRAY, 65536, __u32, struct tally, 0) by_link SEC(".maps");
SHARED(BPF_MAP_TYPE_PERCPU_ARRAY, OUTCOMES, __u32, __u64, 0) outcomes SEC(".maps");
// Copies, by the layer's kind.
SHARED(BPF_MAP_TYPE_PERCPU_ARRAY, 3, __u32, struct tally, 0) sent SEC(".maps");
// How long the last copy waited for the first ones, by the number of bits of its nanoseconds.
SHARED(BPF_MAP_TYPE_PERCPU_ARRAY, BUCKETS, __u32, __u64, 0) waits SEC(".maps");

/* From here on, a packet's way. */

// Ethernet, IP and UDP.
#define HEADERS_V4 (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr))
#define HEADERS_V6 (ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct udphdr))
#define CHECK_V4 (HEADERS_V4 - 2)
#define CHECK_V6 (HEADERS_V6 - 2)

struct arrival {
    struct layer_key key;
    __u32 v6;
    __u32 payload; // where it begins
    __u32 packets;
    __u32 segment; // of each but the last
    __u32 bytes;   // of all
};

// What the kernel knows of a packet's checksum.
enum checksum {
    NONE,     // IPv4 without
    PLAIN,    // it stands in the packet
    COMPLETE, // the same, and the kernel keeps the sum of the whole packet
    PARTIAL,  // left to the device, or to who cuts the train: the sum of the addresses and what does not change
};

// A layer being served. The original is rewritten for one destination after the other.
struct run {
    struct __sk_buff *skb;
    __u32 chunk;
    __u32 place;
    __u32 v6;
    __u32 packets;
    __u32 bytes;
    __u32 copies; // that a device took
    __u32 refused;
    __u32 gone;
    enum checksum checksum;
    __u32 base;      // the checksum without what is each destination's
    __u32 ip_base;   // IPv4: the same of its header's. IPv6: the sum of all before the addresses, as it came
    __u32 addresses; // their sum, as it came
    __u32 changed;   // COMPLETE: how far the kernel's sum of the packet is from what it was
};

INLINE void add(void *map, __u32 key, __u64 by)
{
    __u64 *count = map_lookup(map, &key);
    if (count)
        *count += by;
}

INLINE __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

// In ones' complement: `to` in the place of `from`.
INLINE __u32 difference(__u32 from, __u32 to)
{
    return fold((__u64)(__u32)~from + to);
}

INLINE __u64 sum_words(const void *from, __u32 words)
{
    const __u8 *bytes = from;
    __u64 sum = 0;
#pragma unroll
    for (__u32 i = 0; i < words; i++) {
        __u32 word;
        COPY(&word, bytes + 4 * i, 4);
        sum += word;
    }
    return sum;
}

INLINE int is_rtp(const __u8 *rtp)
{
    return rtp[0] >= 128 && rtp[0] <= 191 && !(rtp[1] >= 192 && rtp[1] <= 223);
}

// Whether this is UDP to a listen address, whole and plain; fills in all but the SSRC.
INLINE int parse(struct __sk_buff *skb, struct arrival *it)
{
    struct listen_key to = {};
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct udphdr *udp;
    __u32 ip_bytes;
    if (skb->protocol == BIG_ENDIAN_16(ETH_P_IP)) {
        struct iphdr *ip = data + ETH_HLEN;
        if (data + HEADERS_V4 > end)
            return 0;
        if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP || ip->frag_off & IP_FRAGMENT)
            return 0;
        // Rewritten, a broken header would be mended.
        if (fold(sum_words(ip, 5)) != 0xffff)
            return 0;
        to.address[10] = to.address[11] = it->key.source[10] = it->key.source[11] = 0xff;
        COPY(to.address + 12, &ip->daddr, 4);
        COPY(it->key.source + 12, &ip->saddr, 4);
        ip_bytes = BIG_ENDIAN_16(ip->tot_len);
        it->payload = HEADERS_V4;
        udp = (void *)(ip + 1);
    } else if (skb->protocol == BIG_ENDIAN_16(ETH_P_IPV6)) {
        struct ipv6hdr *ip = data + ETH_HLEN;
        if (data + HEADERS_V6 > end)
            return 0;
        udp = (void *)(ip + 1);
        if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP || !udp->check)
            return 0;
        COPY(to.address, &ip->daddr, 16);
        COPY(it->key.source, &ip->saddr, 16);
        ip_bytes = BIG_ENDIAN_16(ip->payload_len) + sizeof(*ip);
        it->v6 = 1;
        it->payload = HEADERS_V6;
    } else {
        return 0;
    }
    to.port = udp->dest;
    __u32 *listen = map_lookup(&listens, &to);
    if (!listen)
        return 0;
    it->key.listen = *listen;
    it->key.port = udp->source;
    // No padding, nothing cut off, and both headers agree.
    __u32 udp_bytes = BIG_ENDIAN_16(udp->len);
    if (ip_bytes + ETH_HLEN != skb->len || udp_bytes + it->payload - sizeof(*udp) != skb->len)
        return 0;
    it->bytes = skb->len - it->payload;
    it->segment = skb->gso_size ? skb->gso_size : it->bytes;
    return it->bytes >= RTP_HEADER && it->segment >= RTP_HEADER;
}

struct train {
    struct __sk_buff *skb;
    struct memory *memory;
    __u32 ssrc;
    __u32 at;
    __u32 segment;
    __u16 seq; // of the next
    __u16 refused;
};

// One packet of a train: the body of a loop; 0 goes on.
static long look_at_packet(__u32 number, struct train *train)
{
    __u8 rtp[RTP_HEADER];
    __u32 ssrc;
    __u16 seq;
    if (load_bytes(train->skb, train->at, rtp, sizeof(rtp)))
        rtp[0] = 0;
    COPY(&ssrc, rtp + 8, 4);
    COPY(&seq, rtp + 2, 2);
    seq = BIG_ENDIAN_16(seq);
    if (!is_rtp(rtp) || ssrc != train->ssrc || (number && seq != train->seq)) {
        train->refused = MIXED;
        return 1;
    }
    // What is noted and then left to the worker is its worker's when it comes again, too.
    __u16 *seen = &train->memory->seen[seq % REMEMBERED];
    if (*seen == (__u16)~seq)
        train->refused = REPEATED;
    *seen = ~seq;
    train->seq = seq + 1;
    train->at += train->segment;
    return 0;
}

// GRO looks no further than at ports: whether all packets are the layer's, one behind the other, and new.
INLINE enum outcome look_at_packets(struct __sk_buff *skb, const struct arrival *it, struct memory *memory)
{
    struct train train = {
        .skb = skb, .memory = memory, .ssrc = it->key.ssrc, .at = it->payload, .segment = it->segment
    };
    if (it->packets == 1)
        look_at_packet(0, &train);
    else if (it->packets <= PACKETS_MAX)
        loop(it->packets, look_at_packet, &train, 0);
    else
        return MIXED;
    return train.refused;
}

// Takes the train out of the layer's bucket if that is not empty.
INLINE int is_over_rate(const struct layer *layer, struct memory *memory, const struct arrival *it, __u64 now)
{
    __u64 from = memory->paid_at > now ? memory->paid_at : now;
    if (from - now >= layer->burst_ns)
        return 1;
    __u64 least = (__u64)it->packets * PACKET_BYTES_MIN;
    __u64 units = it->bytes > least ? it->bytes : least;
    memory->paid_at = from + (units * layer->price_256 >> 8);
    return 0;
}

// How the packet's checksum is kept. What asks is undone when the headers are put back.
INLINE enum checksum checksum_of(struct __sk_buff *skb, __u32 at)
{
    __be16 before, after;
    if (load_bytes(skb, at, &before, sizeof(before)) || !before)
        return NONE;
    if (update_sum(skb, 0) >= 0)
        return COMPLETE;
    // Changes nothing where the checksum of what is behind the addresses is yet to come.
    if (replace_l4_sum(skb, at, 0, 1, 0) || load_bytes(skb, at, &after, sizeof(after)))
        return NONE;
    return before == after ? PARTIAL : PLAIN;
}

// What `checksum` is without addresses and ports, of which these are the sums.
INLINE __u32 checksum_base(enum checksum kind, __u16 checksum, __u32 addresses, __u32 ports)
{
    if (kind == PARTIAL)
        return difference(addresses, checksum);
    return fold((__u64)(__u16)~checksum + difference(addresses, 0) + difference(ports, 0));
}

INLINE void write_udp(struct udphdr *udp, const struct run *run, const struct destination *to)
{
    __u32 ports;
    COPY(&ports, to->ports, 4);
    COPY(udp, &ports, 4);
    if (run->checksum == PARTIAL) {
        udp->check = fold((__u64)run->base + to->addresses_sum);
    } else if (run->checksum != NONE) {
        __u16 checksum = ~fold((__u64)run->base + to->addresses_sum + ports);
        udp->check = checksum ? checksum : 0xffff;
    }
}

// The packet's words now sum up to so much more than when it came.
INLINE void keep_sum(struct run *run, __u32 more)
{
    if (run->checksum != COMPLETE)
        return;
    update_sum(run->skb, difference(run->changed, more));
    run->changed = more;
}

INLINE int write_v4(struct run *run, const struct destination *to)
{
    void *data = (void *)(long)run->skb->data;
    struct iphdr *ip = data + ETH_HLEN;
    if (data + HEADERS_V4 > (void *)(long)run->skb->data_end)
        return 0;
    COPY(data, to->macs, sizeof(to->macs));
    ip->tos = to->traffic_class;
    // "Don't fragment", so its number means nothing (RFC 6864 §4.1).
    ip->id = 0;
    ip->frag_off = IP_DONT_FRAGMENT;
    ip->ttl = HOP_LIMIT;
    COPY(&ip->saddr, to->source + 12, 4);
    COPY(&ip->daddr, to->address + 12, 4);
    ip->check = ~fold((__u64)run->ip_base + BIG_ENDIAN_16(to->traffic_class) + to->addresses_sum);
    write_udp((void *)(ip + 1), run, to);
    // Its header's checksum makes up for other addresses, that of UDP does once more.
    keep_sum(run, difference(to->addresses_sum, run->addresses));
    return 1;
}

INLINE int write_v6(struct run *run, const struct destination *to)
{
    void *data = (void *)(long)run->skb->data;
    struct ipv6hdr *ip = data + ETH_HLEN;
    if (data + HEADERS_V6 > (void *)(long)run->skb->data_end)
        return 0;
    COPY(data, to->macs, sizeof(to->macs));
    __u32 first = __builtin_bswap32(6u << 28 | (__u32)to->traffic_class << 20), hop;
    COPY(ip, &first, 4);
    ip->hop_limit = HOP_LIMIT;
    COPY(&hop, (void *)ip + 4, 4);
    COPY(&ip->saddr, to->source, 16);
    COPY(&ip->daddr, to->address, 16);
    write_udp((void *)(ip + 1), run, to);
    // The checksum makes up for other addresses, nothing does for the fields before them.
    keep_sum(run, difference(run->ip_base, fold((__u64)first + hop)));
    return 1;
}

// One destination: the body of a loop; 0 goes on.
static long serve(__u32 number, struct run *run)
{
    (void)number;
    struct chunk *chunk = map_lookup(&chunks, &run->chunk);
    if (chunk && run->place == CHUNK) {
        run->chunk = chunk->next;
        run->place = 0;
        chunk = map_lookup(&chunks, &run->chunk);
    }
    if (!chunk || run->place >= CHUNK)
        return 1;
    __u32 key = chunk->destinations[run->place++];
    struct destination *to = map_lookup(&destinations, &key);
    if (!to || to->number_again != key || to->v6 != run->v6) {
        run->gone++;
        return 0;
    }
    if (!(run->v6 ? write_v6(run, to) : write_v4(run, to)))
        return 1;
    __u32 index = to->index, device = to->device;
    if (*(volatile __u32 *)&to->number != key) {
        run->gone++;
        return 0;
    }
    int refused = clone_redirect(run->skb, device, 0) != 0;
    run->refused += refused;
    run->copies += !refused;
    struct tally *tally = map_lookup(&by_link, &index);
    if (tally && refused) {
        tally->lost += run->packets;
    } else if (tally) {
        tally->packets += run->packets;
        tally->bytes += run->bytes;
    }
    return 0;
}

// What is the same for all destinations.
INLINE void prepare(struct run *run, __u32 check_at, const __u8 *udp)
{
    __u32 ports;
    __u16 checksum;
    COPY(&ports, udp, 4);
    COPY(&checksum, udp + 6, 2);
    run->checksum = checksum_of(run->skb, check_at);
    run->base = checksum_base(run->checksum, checksum, run->addresses, ports);
}

// Serves a layer's run and puts the original back as it was. Whatever fails on the way, it is put back.
INLINE void serve_v4(struct __sk_buff *skb, struct run *run, __u32 count)
{
    void *data = (void *)(long)skb->data;
    __u8 before[HEADERS_V4];
    if (data + sizeof(before) > (void *)(long)skb->data_end)
        return;
    COPY(before, data, sizeof(before));
    struct iphdr *ip = data + ETH_HLEN;
    run->addresses = fold(sum_words(&ip->saddr, 2));
    run->ip_base = 0x45 + ip->tot_len + IP_DONT_FRAGMENT + BIG_ENDIAN_16(HOP_LIMIT << 8 | IPPROTO_UDP);
    prepare(run, CHECK_V4, before + HEADERS_V4 - sizeof(struct udphdr));
    loop(count, serve, run, 0);
    keep_sum(run, 0);
    store_bytes(skb, 0, before, sizeof(before), 0);
}

INLINE void serve_v6(struct __sk_buff *skb, struct run *run, __u32 count)
{
    void *data = (void *)(long)skb->data;
    __u8 before[HEADERS_V6];
    if (data + sizeof(before) > (void *)(long)skb->data_end)
        return;
    COPY(before, data, sizeof(before));
    struct ipv6hdr *ip = data + ETH_HLEN;
    run->addresses = fold(sum_words(&ip->saddr, 8));
    run->ip_base = fold(sum_words(ip, 2));
    prepare(run, CHECK_V6, before + HEADERS_V6 - sizeof(struct udphdr));
    loop(count, serve, run, 0);
    keep_sum(run, 0);
    store_bytes(skb, 0, before, sizeof(before), 0);
}

INLINE void note_wait(__u64 began)
{
    __u64 took = now_ns() - began;
    __u32 bits = 0;
#pragma unroll
    for (__u32 step = 16; step; step >>= 1) {
        if (took >> step) {
            took >>= step;
            bits += step;
        }
    }
    add(&waits, bits & (BUCKETS - 1), 1);
}

INLINE void count_copies(const struct run *run, __u32 count, __u32 kind)
{
    __u64 packets = run->packets, lost = count - run->copies;
    add(&outcomes, SERVED, packets);
    struct tally *copies = map_lookup(&sent, &kind);
    if (copies) {
        copies->packets += run->copies * packets;
        copies->bytes += (__u64)run->copies * run->bytes;
        copies->lost += lost * packets;
    }
    if (!lost)
        return;
    add(&outcomes, REFUSED, run->refused * packets);
    add(&outcomes, GONE, run->gone * packets);
    add(&outcomes, UNWRITABLE, (lost - run->refused - run->gone) * packets);
}

SEC("classifier") int express(struct __sk_buff *skb)
{
    if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
        return GO_ON;
    // A driver may leave the headers in a page of their own.
    __u32 headers = HEADERS_V6;
    if (skb->data + headers > skb->data_end && skb->len >= headers && pull(skb, headers))
        return GO_ON;
    struct arrival it = {};
    __u8 rtp[RTP_HEADER];
    if (!parse(skb, &it) || load_bytes(skb, it.payload, rtp, sizeof(rtp)) || !is_rtp(rtp))
        return GO_ON;
    COPY(&it.key.ssrc, rtp + 8, 4);
    struct layer *entry = map_lookup(&layers, &it.key);
    if (!entry || entry->ssrc_again != it.key.ssrc)
        return GO_ON;
    struct layer copy = *entry, *layer = &copy;
    asm volatile("" ::: "memory");
    if (*(volatile __be32 *)&entry->ssrc != it.key.ssrc)
        return GO_ON;
    it.packets = (it.bytes + it.segment - 1) / it.segment;
    struct tally *tally = map_lookup(&by_layer, &layer->index);
    struct memory *memory = map_lookup(&memories, &layer->index);
    if (!tally || !memory)
        return GO_ON;
    enum outcome refused;
    if (skb->mark)
        refused = MARKED;
    else if (it.payload - ETH_HLEN + it.segment > layer->size_max)
        refused = TOO_LARGE;
    else
        refused = look_at_packets(skb, &it, memory);
    // Nobody is served; but when somebody is, what was heard before is known.
    if (!layer->count)
        return GO_ON;
    if (refused != SERVED) {
        add(&outcomes, refused, it.packets);
        return GO_ON;
    }
    __u64 now = now_ns();
    if (is_over_rate(layer, memory, &it, now)) {
        add(&outcomes, OVER, it.packets);
        tally->lost += it.packets;
        skb->mark = OVER_RATE;
        return GO_ON;
    }
    struct run run = {
        .skb = skb, .chunk = layer->chunk, .v6 = it.v6, .packets = it.packets, .bytes = it.bytes
    };
    if (layer->count > DESTINATIONS_MAX)
        return GO_ON;
    if (it.v6)
        serve_v6(skb, &run, layer->count);
    else
        serve_v4(skb, &run, layer->count);
    skb->mark = layer->generation;
    count_copies(&run, layer->count, layer->kind);
    __u64 before = tally->packets;
    tally->packets += it.packets;
    tally->bytes += it.bytes;
    if ((before ^ tally->packets) & TIMED_EVERY)
        note_wait(now);
    return GO_ON;
}

SEC("license") const char license_name[] = "Apache-2.0";
