// SPDX-License-Identifier: MIT
// Lists of TCP's and UDP's sockets for programs (ss): inet_diag over NETLINK_SOCK_DIAG. Linux: net/ipv4/inet_diag.c, tcp_diag.c, udp_diag.c.
// The tables are walked one chain at a time under its lock; a packet that is full ends the walk, and the next one goes on there. Filters in
// byte code are not run: who asks with one gets every socket of the states that it wants (ss filters what it gets by itself).

#include "net/core/sock_diag.h"
#include "net/ipv4/tcp_info.h"
#include "net/ipv4/udp.h"

namespace
{
struct inet_diag_sockid {
    be16 sport, dport;
    be32 src[4], dst[4];
    u32 interface;
    u32 cookie[2];
};
struct inet_diag_req_v2 {
    u8 family, protocol, ext, pad;
    u32 states; // bit n: state n
    inet_diag_sockid id;
};
static_assert(sizeof(inet_diag_req_v2) == 56);
struct inet_diag_msg {
    u8 family, state, timer, retrans;
    inet_diag_sockid id;
    u32 expires; // ms
    u32 rqueue, wqueue, uid, inode;
};
static_assert(sizeof(inet_diag_msg) == 72);
struct inet_diag_meminfo {
    u32 rmem, wmem, fmem, tmem;
};
/// Attributes; bit n-1 of `ext` asks for n.
constexpr u16 INET_DIAG_MEMINFO = 1, INET_DIAG_INFO = 2, INET_DIAG_CONG = 4, INET_DIAG_TOS = 5,
              INET_DIAG_SKMEMINFO = 7, INET_DIAG_SHUTDOWN = 8;
enum timer_kind : u8 { NO_TIMER, RETRANSMIT, KEEPALIVE, TIME_WAIT, PROBE };

/// One packet of a dump being filled.
struct diag_packet {
    sk_buff *skb;
    netlink_callback *cb;
    const inet_diag_req_v2 *req;
    sock_diag_place place;

    bool wants(u16 attribute) const { return req->ext >> (attribute - 1) & 1; }
    /// Of a wanted state and, where the request names them, with these ports and device.
    bool matches(u8 state, be16 sport, be16 dport, u32 dif) const
    {
        const inet_diag_sockid &id = req->id;
        return (req->states >> state & 1) && (!id.sport.raw || id.sport == sport) &&
               (!id.dport.raw || id.dport == dport) && (!id.interface || id.interface == dif);
    }
};

u32 ms_until(u64 when)
{
    s64 d = static_cast<s64>(when - jiffies());
    return d > 0 ? static_cast<u32>(static_cast<u64>(d) * 1000 / HZ) : 0;
}

nlmsghdr *begin(diag_packet &p, inet_diag_msg **m, const void *sk, u8 state)
{
    nlmsghdr *h = nlmsg_put(p.skb, p.cb->portid, p.cb->seq, SOCK_DIAG_BY_FAMILY,
                            sizeof(inet_diag_msg), NLM_F_MULTI);
    if (h) {
        *m = new (h + 1) inet_diag_msg{};
        (*m)->family = AF_INET;
        (*m)->state = state;
        sock_diag_save_cookie(sk, (*m)->id.cookie);
    }
    return h;
}

void put_addresses(inet_diag_msg *m, be32 src, be16 sport, be32 dst, be16 dport, u32 dif)
{
    m->id.src[0] = src;
    m->id.sport = sport;
    m->id.dst[0] = dst;
    m->id.dport = dport;
    m->id.interface = dif;
}

void put_timer(inet_diag_msg *m, const tcp_sock *tp)
{
    m->timer = NO_TIMER;
    if (tp->icsk_pending == ICSK_TIME_RETRANS || tp->icsk_pending == ICSK_TIME_EARLY_RETRANS ||
        tp->icsk_pending == ICSK_TIME_LOSS_PROBE) {
        m->timer = RETRANSMIT;
        m->retrans = tp->icsk_retransmits;
        m->expires = ms_until(tp->icsk_timeout);
    } else if (tp->icsk_pending == ICSK_TIME_PROBE0) {
        m->timer = PROBE;
        m->retrans = tp->icsk_probes_out;
        m->expires = ms_until(tp->icsk_timeout);
    } else if (tp->sk_timer.pending()) {
        m->timer = KEEPALIVE;
        m->retrans = tp->icsk_probes_out;
        m->expires = ms_until(tp->sk_timer.expires);
    }
}

void put_tcp_queues(inet_diag_msg *m, const tcp_sock *tp)
{
    if (tp->sk_state == TCP_LISTEN) {
        m->rqueue = tp->sk_ack_backlog;
        m->wqueue = tp->sk_max_ack_backlog;
    } else {
        m->rqueue = static_cast<u32>(max(static_cast<s32>(tp->rcv_nxt - tp->copied_seq), 0));
        m->wqueue = tp->write_seq - tp->snd_una;
    }
}

/// `tp` null: it is not TCP's.
bool put_attributes(diag_packet &p, const inet_sock *sk, const tcp_sock *tp)
{
    u32 forward = tp ? static_cast<u32>(tp->sk_forward_alloc) : 0;
    u32 queued = tp ? tp->sk_wmem_queued : 0;
    bool fits = nla_put_value(p.skb, INET_DIAG_SHUTDOWN, sk->sk_shutdown);
    if (p.wants(INET_DIAG_TOS))
        fits = fits && nla_put_value(p.skb, INET_DIAG_TOS, sk->tos);
    if (p.wants(INET_DIAG_MEMINFO))
        fits = fits &&
               nla_put_value(p.skb, INET_DIAG_MEMINFO,
                             inet_diag_meminfo{static_cast<u32>(sk->sk_rmem_alloc.load()), queued,
                                               forward, static_cast<u32>(sk_wmem_alloc_get(sk))});
    if (p.wants(INET_DIAG_SKMEMINFO))
        fits = fits &&
               nla_put_value(p.skb, INET_DIAG_SKMEMINFO, sock_diag_memory(sk, forward, queued));
    if (tp && p.wants(INET_DIAG_INFO)) {
        tcp_info info;
        tcp_get_info(tp, &info);
        fits = fits && nla_put_value(p.skb, INET_DIAG_INFO, info);
    }
    if (tp && p.wants(INET_DIAG_CONG) && tp->icsk_ca_ops)
        fits = fits && nla_put_string(p.skb, INET_DIAG_CONG, tp->icsk_ca_ops->name);
    return fits;
}

/// A socket's message, or nothing when the packet is full: false. Its chain's lock held.
bool put_sock(diag_packet &p, const inet_sock *sk, const tcp_sock *tp)
{
    if (!p.place.is_new() ||
        !p.matches(sk->sk_state, sk->inet_sport, sk->inet_dport, sk->sk_bound_dev_if))
        return true;
    inet_diag_msg *m = nullptr;
    nlmsghdr *h = begin(p, &m, sk, sk->sk_state);
    if (h) {
        put_addresses(m, sk->inet_rcv_saddr, sk->inet_sport, sk->inet_daddr, sk->inet_dport,
                      sk->sk_bound_dev_if);
        m->uid = static_cast<u32>(sk->sk_uid);
        m->inode = static_cast<u32>(sk->sk_ino);
        if (tp) {
            put_timer(m, tp);
            put_tcp_queues(m, tp);
        } else {
            m->rqueue = static_cast<u32>(sk->sk_rmem_alloc.load());
            m->wqueue = static_cast<u32>(sk_wmem_alloc_get(sk));
        }
        if (put_attributes(p, sk, tp)) {
            nlmsg_end(p.skb, h);
            return true;
        }
        nlmsg_cancel(p.skb, h);
    }
    p.place.stop();
    return false;
}

/// The same for what has no socket of its own: a half-open or a TIME_WAIT connection.
bool put_small(diag_packet &p, const void *at, u8 state, u8 shown, be32 src, be16 sport, be32 dst,
               be16 dport, u32 dif, timer_kind timer, u8 retrans, u64 expires, u32 uid)
{
    if (!p.place.is_new() || !p.matches(state, sport, dport, dif))
        return true;
    inet_diag_msg *m = nullptr;
    nlmsghdr *h = begin(p, &m, at, shown);
    if (!h) {
        p.place.stop();
        return false;
    }
    put_addresses(m, src, sport, dst, dport, dif);
    m->timer = timer;
    m->retrans = retrans;
    m->expires = ms_until(expires);
    m->uid = uid;
    nlmsg_end(p.skb, h);
    return true;
}

bool put_requests(diag_packet &p, tcp_sock *tp)
{
    request_sock_queue *q = &tp->icsk_accept_queue;
    spin_guard<plain> g{q->syn_wait_lock};
    const listen_sock *lopt = q->listen_opt;
    if (!lopt || !lopt->qlen)
        return true;
    for (u32 h = 0; h < lopt->nr_table_entries; h++)
        for (request_sock *req = lopt->syn_table[h]; req; req = req->dl_next) {
            const inet_request_sock *r = inet_rsk(req);
            if (!put_small(p, req, TCP_SYN_RECV, TCP_SYN_RECV, r->loc_addr, tp->inet_sport,
                           r->rmt_addr, r->rmt_port, tp->sk_bound_dev_if, RETRANSMIT,
                           static_cast<u8>(req->num_timeout), req->expires,
                           static_cast<u32>(tp->sk_uid)))
                return false;
        }
    return true;
}

tcp_sock *tcp_by_node(hlist_nulls_node *n)
{
    return tcp_sk(container_of(n, sock, sk_nulls_node));
}

/// One chain; false: the packet is full.
bool put_listeners(diag_packet &p, u64 chain)
{
    inet_listen_hashbucket &b = tcp_hashinfo.listening_hash[chain];
    spin_guard<bh> g{b.lock};
    for (auto *n = b.head.first; !is_a_nulls(n); n = n->next) {
        tcp_sock *tp = tcp_by_node(n);
        if (!put_sock(p, tp, tp) || !put_requests(p, tp))
            return false;
    }
    return true;
}

bool put_connections(diag_packet &p, u64 chain)
{
    inet_ehash_bucket &b = tcp_hashinfo.ehash[chain];
    if (is_a_nulls(read_once(b.chain.first)) && is_a_nulls(read_once(b.twchain.first)))
        return true;
    spin_guard<bh> g{inet_ehash_lockp(static_cast<u32>(chain))};
    for (auto *n = b.chain.first; !is_a_nulls(n); n = n->next) {
        tcp_sock *tp = tcp_by_node(n);
        if (!put_sock(p, tp, tp))
            return false;
    }
    for (auto *n = b.twchain.first; !is_a_nulls(n); n = n->next) {
        const auto *tw = container_of(n, inet_timewait_sock, tw_nulls_node);
        if (!put_small(p, tw, TCP_TIME_WAIT, tw->tw_substate, tw->tw_rcv_saddr, tw->tw_sport,
                       tw->tw_daddr, tw->tw_dport, tw->tw_bound_dev_if, TIME_WAIT, 0, tw->tw_ttd,
                       0))
            return false;
    }
    return true;
}

/// More than 0: there is more to come.
int tcp_diag_dump(diag_packet &p)
{
    constexpr u32 LISTENING = TCPF(TCP_LISTEN) | TCPF(TCP_SYN_RECV);
    if (p.place.phase() == 0) {
        while ((p.req->states & LISTENING) && p.place.list() < INET_LHTABLE_SIZE) {
            if (!put_listeners(p, p.place.list()))
                return 1;
            p.place.next_list();
        }
        p.place.next_phase();
    }
    while ((p.req->states & ~LISTENING) && p.place.list() <= tcp_hashinfo.ehash_mask) {
        if (!put_connections(p, p.place.list()))
            return 1;
        p.place.next_list();
    }
    return 0;
}

int udp_diag_dump(diag_packet &p)
{
    for (; p.place.list() <= udp_table_.mask; p.place.next_list()) {
        udp_hslot &slot = udp_table_.hash[p.place.list()];
        if (is_a_nulls(read_once(slot.head.first)))
            continue;
        spin_guard<bh> g{slot.lock};
        for (auto *n = slot.head.first; !is_a_nulls(n); n = n->next)
            if (!put_sock(p, udp_sk(container_of(n, sock, sk_nulls_node)), nullptr))
                return 1;
    }
    return 0;
}

int inet_diag_dump(sk_buff *skb, netlink_callback *cb)
{
    auto *req = dump_request<inet_diag_req_v2>(cb);
    diag_packet p{skb, cb, req, sock_diag_place{cb}};
    if (req->protocol != IPPROTO_TCP && req->protocol != IPPROTO_UDP)
        return -ENOENT;
    if (req->family != AF_INET)
        return 0; // there is no IPv6
    return req->protocol == IPPROTO_TCP ? tcp_diag_dump(p) : udp_diag_dump(p);
}
const sock_diag_handler inet_diag{inet_diag_dump, sizeof(inet_diag_req_v2)};
} // namespace

void inet_diag_netlink_init()
{
    constexpr int AF_INET6 = 10;
    sock_diag_register(AF_INET, &inet_diag);
    sock_diag_register(AF_INET6, &inet_diag);
}
