// SPDX-License-Identifier: MIT
// IPv4 input checks and counters, options, ICMP's rules and rate limit, routes (rows R-10, B-08,
// L-02, L-03).
#include "net/ipv4/devinet.h"
#include "net/ipv4/icmp.h"
#include "net/ipv4/inet_sock.h"
#include "net/ipv4/ip_fib.h"
#include "net_util.h"

static u8 frame[WIRE_FRAME_MAX], answer[WIRE_FRAME_MAX];

static void setup(void *)
{
    HOST_EXPECT(wire_up());
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(dev_open(loopback_dev) == 0);
}

/// An ICMP message of n bytes at `icmp` gets its checksum.
static void seal(u8 *icmp, size_t n)
{
    put16(icmp + 2, 0);
    put16(icmp + 2, ntohs(ip_compute_csum(icmp, n)));
}
static size_t echo_with(const ip_fields &base, u8 *f)
{
    u8 icmp[16] = {8, 0, 0, 0, 0, 1, 0, 2, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
    seal(icmp, sizeof(icmp));
    ip_fields h = base;
    h.proto = 1;
    return make_ip(f, h, icmp, sizeof(icmp));
}
static bool echo_answered(const ip_fields &h)
{
    wire_forget_sent();
    wire_receive(frame, echo_with(h, frame));
    return wire_sent(answer) >= 42 && answer[23] == 1 && answer[14 + (answer[14] & 15) * 4] == 0;
}

/// A wrong header costs the packet and moves exactly its counter.
static void header_errors_are_counted(void *)
{
    know_peer();
    HOST_EXPECT(echo_answered({}));
    u64 hdr = ip_mib_sum(IPSTATS_MIB_InHdrErrors), csum = ipext_mib_sum(IPEXT_MIB_InCsumErrors),
        trunc = ipext_mib_sum(IPEXT_MIB_InTruncatedPkts), recv = ip_mib_sum(IPSTATS_MIB_InReceives);
    ip_fields h;
    h.spoil = 0x0100;
    HOST_EXPECT(!echo_answered(h));
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_InHdrErrors) == hdr + 1 &&
                ipext_mib_sum(IPEXT_MIB_InCsumErrors) == csum + 1);
    h = {};
    h.tot_len = 1000; // more than arrived
    HOST_EXPECT(!echo_answered(h) && ipext_mib_sum(IPEXT_MIB_InTruncatedPkts) == trunc + 1);
    h.tot_len = 19; // less than a header
    HOST_EXPECT(!echo_answered(h) && ip_mib_sum(IPSTATS_MIB_InHdrErrors) == hdr + 2);
    for (u8 first : {0x55, 0x44, 0x65, 0x00}) { // version, header length
        size_t n = echo_with({}, frame);
        frame[14] = first;
        wire_receive(frame, n);
    }
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_InHdrErrors) == hdr + 6);
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_InReceives) == recv + 7);
    for (size_t n = 14; n < 34; n++) {
        echo_with({}, frame);
        wire_receive(frame, n);
    }
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_InHdrErrors) == hdr + 26);
}

static void unknown_protocol_is_reported(void *)
{
    ip_fields h;
    h.proto = 200;
    wire_forget_sent();
    u64 unknown = ip_mib_sum(IPSTATS_MIB_InUnknownProtos);
    wire_receive(frame, make_ip(frame, h, "12345678", 8));
    HOST_EXPECT(wire_sent(answer) >= 42 && answer[34] == 3 && answer[35] == 2);
    HOST_EXPECT(ip_mib_sum(IPSTATS_MIB_InUnknownProtos) == unknown + 1);
}

/// Sources and destinations that cannot be, and packets for others while we do not forward.
static void martians_and_strangers(void *)
{
    for (u32 src : {0x7f000001u, 0xe0000005u, 0xffffffffu, 0x00000001u, WIRE_IP}) {
        ip_fields h;
        h.saddr = src;
        HOST_EXPECT(!echo_answered(h));
    }
    for (u32 dst : {0x7f000001u, 0x00000005u, 0x08080808u}) {
        ip_fields h;
        h.daddr = dst;
        HOST_EXPECT(!echo_answered(h) && !wire_sent(answer));
    }
    u64 in = icmp_mib_sum(ICMP_MIB_InMsgs);
    size_t n = echo_with({}, frame);
    frame[5] ^= 1; // another station's MAC
    wire_receive(frame, n);
    HOST_EXPECT(icmp_mib_sum(ICMP_MIB_InMsgs) == in);
}

// --- Options -------------------------------------------------------------------------------------

static bool with_options(const u8 *o, size_t n)
{
    ip_fields h;
    h.options = o;
    h.optlen = n;
    return echo_answered(h);
}
static bool parameter_problem(const u8 *o, size_t n, u8 pointer)
{
    net_sleep(1100); // the rate limit
    know_peer();
    return !with_options(o, n) && answer[34] == 12 && answer[38] == pointer;
}

static void good_options_are_answered(void *)
{
    const u8 nop[4] = {1, 1, 1, 0};
    HOST_EXPECT(with_options(nop, 4) && (answer[14] & 15) == 5);
    const u8 rr[12] = {7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    HOST_EXPECT(with_options(rr, 12) && (answer[14] & 15) == 8);
    const u8 *o = answer + 34; // record route: we are in it, on the way in and out
    HOST_EXPECT(o[0] == 7 && o[1] == 11 && o[2] == 12 && get32(o + 3) == WIRE_IP &&
                get32(o + 7) == WIRE_IP);
    const u8 ts[12] = {68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    HOST_EXPECT(with_options(ts, 12) && answer[34] == 68 && answer[36] == 13);
    const u8 ra[4] = {148, 4, 0, 0};
    HOST_EXPECT(with_options(ra, 4));
    const u8 unknown[4] = {99, 4, 1, 2};
    HOST_EXPECT(with_options(unknown, 4));
}

static void bad_options_name_the_byte(void *)
{
    const u8 no_len[4] = {1, 1, 1, 7};
    HOST_EXPECT(parameter_problem(no_len, 4, 23));
    const u8 zero_len[4] = {7, 0, 4, 0};
    HOST_EXPECT(parameter_problem(zero_len, 4, 20));
    const u8 too_long[4] = {7, 8, 4, 0};
    HOST_EXPECT(parameter_problem(too_long, 4, 20));
    const u8 bad_ptr[8] = {7, 7, 3, 0, 0, 0, 0, 0};
    HOST_EXPECT(parameter_problem(bad_ptr, 8, 22));
    const u8 half_slot[8] = {7, 7, 6, 0, 0, 0, 0, 0};
    HOST_EXPECT(parameter_problem(half_slot, 8, 22));
    const u8 ts_short[4] = {68, 3, 5, 0};
    HOST_EXPECT(parameter_problem(ts_short, 4, 21));
    const u8 ts_flags[12] = {68, 12, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0};
    HOST_EXPECT(parameter_problem(ts_flags, 12, 23));
    const u8 twice[16] = {7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0};
    HOST_EXPECT(parameter_problem(twice, 16, 27));
}

static void source_routes_are_dropped(void *)
{
    const u8 lsrr[8] = {131, 7, 4, 10, 9, 0, 2, 0};
    HOST_EXPECT(!with_options(lsrr, 8) && !wire_sent(answer));
}

/// Random option bytes: nothing but an answer, an error or silence.
static void random_options_are_survived(void *)
{
    for (unsigned round = 0; round < 20000; round++) {
        u8 o[40];
        for (u8 &b : o) {
            static const u8 kinds[] = {0, 1, 7, 68, 131, 137, 148};
            u64 r = host_random();
            b = r & 1 ? kinds[(r >> 8) % sizeof(kinds)] : static_cast<u8>(r >> 8 & 15);
        }
        with_options(o, 4 * (1 + host_random() % 10));
    }
    know_peer();
    HOST_EXPECT(echo_answered({}));
}

// --- ICMP ----------------------------------------------------------------------------------------

static void icmp_rules(void *)
{
    know_peer();
    net_sleep(7000); // tokens
    // No error about an error.
    u8 err[36] = {3, 3, 0, 0, 0, 0, 0, 0, 0x45};
    seal(err, sizeof(err));
    ip_fields h;
    h.proto = 1;
    h.ttl = 1;
    u64 errors = icmp_mib_sum(ICMP_MIB_InErrors);
    wire_forget_sent();
    wire_receive(frame, make_ip(frame, h, err, sizeof(err)));
    HOST_EXPECT(!wire_sent(answer));
    // A wrong checksum.
    u8 bad[8] = {8, 0, 1, 2, 0, 0, 0, 0};
    wire_receive(frame, make_ip(frame, h, bad, sizeof(bad)));
    HOST_EXPECT(!wire_sent(answer) && icmp_mib_sum(ICMP_MIB_InErrors) >= errors + 1);
    HOST_EXPECT(icmp_mib_sum(ICMP_MIB_InCsumErrors) >= 1);
    // No answer to a ping of everybody, no error about a later fragment.
    h.daddr = WIRE_IP | 0xff;
    HOST_EXPECT(!echo_answered(h));
    h = {};
    h.proto = 200;
    h.frag = 10;
    wire_receive(frame, make_ip(frame, h, "12345678", 8));
    HOST_EXPECT(!wire_sent(answer));
    sysctl_icmp_echo_ignore_all = 1;
    HOST_EXPECT(!echo_answered({}));
    sysctl_icmp_echo_ignore_all = 0;
    HOST_EXPECT(echo_answered({}));
}

static void timestamp_is_answered(void *)
{
    u8 ts[20] = {13, 0, 0, 0, 0, 7, 0, 1, 1, 2, 3, 4};
    seal(ts, sizeof(ts));
    ip_fields h;
    h.proto = 1;
    wire_forget_sent();
    wire_receive(frame, make_ip(frame, h, ts, sizeof(ts)));
    HOST_EXPECT(wire_sent(answer) >= 54 && answer[34] == 14 && get32(answer + 42) == 0x01020304);
}

/// Six unreachables at once, then one a second for each destination.
static void errors_are_rate_limited(void *)
{
    net_sleep(10000);
    know_peer();
    ip_fields h;
    h.proto = 201;
    unsigned n = 0;
    for (unsigned i = 0; i < 50; i++)
        wire_receive(frame, make_ip(frame, h, "12345678", 8));
    while (wire_sent(answer))
        n++;
    HOST_EXPECT(n == 6);
    net_sleep(2100);
    for (unsigned i = 0; i < 50; i++)
        wire_receive(frame, make_ip(frame, h, "12345678", 8));
    for (n = 0; wire_sent(answer);)
        n++;
    HOST_EXPECT(n == 2);
}

// --- Routes --------------------------------------------------------------------------------------

static rtable *route(u32 dst, u32 src = 0)
{
    flowi4 fl;
    fl.daddr = htonl(dst);
    fl.saddr = htonl(src);
    auto r = ip_route_output_key(&fl);
    return r ? *r : nullptr;
}

static void addresses_make_routes(void *)
{
    HOST_EXPECT(inet_addr_type(htonl(WIRE_IP)) == RTN_LOCAL &&
                inet_addr_type(htonl(0x7f123456)) == RTN_LOCAL);
    HOST_EXPECT(inet_addr_type(htonl(WIRE_IP | 0xff)) == RTN_BROADCAST &&
                inet_addr_type(htonl(PEER_IP)) == RTN_UNICAST);
    rtable *own = route(WIRE_IP), *peer = route(PEER_IP), *lo = route(0x7f000001);
    HOST_EXPECT(own && own->dev == loopback_dev && own->rt_type == RTN_LOCAL);
    HOST_EXPECT(lo && lo->dev == loopback_dev);
    HOST_EXPECT(peer && peer->dev == wire_dev() && !peer->rt_gateway);
    HOST_EXPECT(!route(0x08080808)); // no default route
    rtable *again = route(PEER_IP);
    HOST_EXPECT(again == peer); // nothing new is made for a packet
    for (rtable *r : {own, peer, lo, again})
        dst_release(r);
}

static void longest_prefix_wins(void *)
{
    auto add = [](u32 dst, u8 len, u32 gw) {
        fib_config c;
        c.dst = htonl(dst);
        c.plen = len;
        c.gw = htonl(gw);
        c.dev = wire_dev();
        return fib_table_insert(fib_table_main, c, false);
    };
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(ip_rt_add_default(wire_dev(), htonl(0x0a090001)) == 0);
        HOST_EXPECT(add(0xac100000, 12, 0x0a090003) == 0);
        HOST_EXPECT(add(0xac100500, 24, 0x0a090004) == 0);
        HOST_EXPECT(add(0xac100507, 32, 0x0a090005) == 0);
        HOST_EXPECT(add(0xac100507, 32, 0x0a090005) == -EEXIST);
        HOST_EXPECT(add(0xac100508, 24, 0x0a090005) == -EINVAL); // host bits set
        HOST_EXPECT(add(0xac110000, 16, 0x08080808) != 0);       // gateway behind the gateway
    }
    struct {
        u32 dst, gw;
    } want[] = {{0xac100507, 0x0a090005},
                {0xac100508, 0x0a090004},
                {0xac1f0001, 0x0a090003},
                {0x08080808, 0x0a090001}};
    for (auto w : want) {
        rtable *r = route(w.dst);
        HOST_EXPECT(r && r->rt_gateway == htonl(w.gw));
        dst_release(r);
    }
    rtable *old = route(0xac100507);
    {
        mutex_guard g{rtnl_mutex};
        fib_config c;
        c.dst = htonl(0xac100507);
        c.plen = 32;
        c.type = RTN_UNSPEC;
        HOST_EXPECT(fib_table_delete(fib_table_main, c) == 0 &&
                    fib_table_delete(fib_table_main, c) == -ESRCH);
    }
    HOST_EXPECT(!dst_check(old));
    dst_release(old);
    rtable *r = route(0xac100507);
    HOST_EXPECT(r && r->rt_gateway == htonl(0x0a090004));
    dst_release(r);
}

/// A smaller path MTU is kept for its destination alone, and for ten minutes.
static void path_mtu_is_learned(void *)
{
    ipv4_update_pmtu(htonl(0x08080808), 1000);
    rtable *r = route(0x08080808), *other = route(0x08080809);
    HOST_EXPECT(r && dst_mtu(r) == 1000 && other && dst_mtu(other) == 1500);
    dst_release(r);
    dst_release(other);
    ipv4_update_pmtu(htonl(0x08080808), 68); // absurdly small
    r = route(0x08080808);
    HOST_EXPECT(r && dst_mtu(r) == 552);
    rt_cache_flush(); // a change elsewhere
    HOST_EXPECT(!dst_check(r));
    dst_release(r);
    r = route(0x08080808);
    HOST_EXPECT(r && dst_mtu(r) == 552 && dst_check(r));
    dst_release(r);
    net_sleep(601000);
    r = route(0x08080808);
    HOST_EXPECT(r && dst_mtu(r) == 1500);
    dst_release(r);
}

static void own_addresses_outlive_their_device(void *)
{
    {
        mutex_guard g{rtnl_mutex};
        HOST_EXPECT(dev_close(wire_dev()) == 0);
    }
    HOST_EXPECT(!route(PEER_IP));
    rtable *own = route(WIRE_IP);
    HOST_EXPECT(own && own->dev == loopback_dev);
    dst_release(own);
    mutex_guard g{rtnl_mutex};
    HOST_EXPECT(dev_open(wire_dev()) == 0);
    rtable *peer = route(PEER_IP);
    HOST_EXPECT(peer && peer->dev == wire_dev());
    dst_release(peer);
}

extern "C" int main()
{
    unit_main("net_ip",
              {KERNEL_UNIT(setup), KERNEL_UNIT(header_errors_are_counted),
               KERNEL_UNIT(unknown_protocol_is_reported), KERNEL_UNIT(martians_and_strangers),
               KERNEL_UNIT(good_options_are_answered), KERNEL_UNIT(bad_options_name_the_byte),
               KERNEL_UNIT(source_routes_are_dropped), KERNEL_UNIT(random_options_are_survived),
               KERNEL_UNIT(icmp_rules), KERNEL_UNIT(timestamp_is_answered),
               KERNEL_UNIT(errors_are_rate_limited), KERNEL_UNIT(addresses_make_routes),
               KERNEL_UNIT(longest_prefix_wins), KERNEL_UNIT(path_mtu_is_learned),
               KERNEL_UNIT(own_addresses_outlive_their_device)},
              2);
}
