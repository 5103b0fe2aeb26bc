// SPDX-License-Identifier: MIT
// /proc/net/tcp in Linux's format (atlas §25), and the tables seen from inside: debugfs net/tcp_table, net/listen (docs/debugfs.md;
// rows K-06, N-04, N-06, O-02). Linux: net/ipv4/tcp_ipv4.c tcp4_seq_show. Nothing here sleeps under a chain's lock.

#include "fs/seq_file.h"
#include "net/ipv4/tcp.h"

constexpr unsigned LINE = 149; // columns, padded with blanks
constexpr u64 JIFFIES_PER_CLOCK_T = HZ / 100;

static u64 delta_clock_t(u64 when)
{
    s64 d = static_cast<s64>(when - jiffies());
    return d > 0 ? static_cast<u64>(d) / JIFFIES_PER_CLOCK_T : 0;
}

/// One line, padded.
static void put_line(seq_file *m, const char *line, int n)
{
    seq_puts(m, line);
    for (; n < static_cast<int>(LINE); n++)
        seq_putc(m, ' ');
    seq_putc(m, '\n');
}

/// Which timer runs: 1 retransmission, 4 window probe, 2 keepalive, 0 none.
static unsigned active_timer(const tcp_sock *tp, u64 *expires)
{
    if (tp->icsk_pending == ICSK_TIME_RETRANS || tp->icsk_pending == ICSK_TIME_EARLY_RETRANS ||
        tp->icsk_pending == ICSK_TIME_LOSS_PROBE) {
        *expires = tp->icsk_timeout;
        return 1;
    }
    if (tp->icsk_pending == ICSK_TIME_PROBE0) {
        *expires = tp->icsk_timeout;
        return 4;
    }
    if (tp->sk_timer.pending()) {
        *expires = tp->sk_timer.expires;
        return 2;
    }
    *expires = jiffies();
    return 0;
}

static void tcp4_sock_line(seq_file *m, const tcp_sock *tp, u32 i)
{
    char line[200];
    u64 expires;
    unsigned timer = active_timer(tp, &expires);
    u32 rx = tp->sk_state == TCP_LISTEN
                 ? tp->sk_ack_backlog
                 : static_cast<u32>(max(static_cast<s32>(tp->rcv_nxt - tp->copied_seq), 0));
    int n = snprintf(
        line, sizeof line,
        "%4u: %08X:%04X %08X:%04X %02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %d %016lx %lu %lu %u "
        "%u %d",
        i, tp->inet_rcv_saddr.raw, ntohs(tp->inet_sport), tp->inet_daddr.raw, ntohs(tp->inet_dport),
        tp->sk_state, tp->write_seq - tp->snd_una, rx, timer, delta_clock_t(expires),
        tp->icsk_retransmits, static_cast<unsigned>(tp->sk_uid), tp->icsk_probes_out,
        static_cast<unsigned long>(tp->sk_ino), tp->sk_refcnt.read(),
        reinterpret_cast<unsigned long>(tp), u64{tp->icsk_rto} / JIFFIES_PER_CLOCK_T,
        u64{tp->icsk_ack.ato} / JIFFIES_PER_CLOCK_T,
        static_cast<unsigned>(tp->icsk_ack.quick << 1 | tp->icsk_ack.pingpong), tp->snd_cwnd,
        tp->snd_ssthresh >= TCP_INFINITE_SSTHRESH ? -1 : static_cast<int>(tp->snd_ssthresh));
    put_line(m, line, n);
}

/// A line without a socket's details: a half-open or a TIME_WAIT connection.
static void tcp4_short_line(seq_file *m, u32 i, be32 laddr, u16 lport, be32 raddr, u16 rport,
                            u8 state, unsigned timer, u64 expires, unsigned timeouts, unsigned uid,
                            int refs, const void *p)
{
    char line[200];
    int n =
        snprintf(line, sizeof line,
                 "%4u: %08X:%04X %08X:%04X %02X %08X:%08X %02X:%08lX %08X %5u %8d %d %d %016lx", i,
                 laddr.raw, lport, raddr.raw, rport, state, 0u, 0u, timer, delta_clock_t(expires),
                 timeouts, uid, 0, 0, refs, reinterpret_cast<unsigned long>(p));
    put_line(m, line, n);
}

/// A listener's half-open connections. Its chain's lock held: it cannot go.
static void tcp4_requests(seq_file *m, tcp_sock *tp, u32 *i)
{
    request_sock_queue *q = &tp->icsk_accept_queue;
    spin_guard<plain> g{q->syn_wait_lock};
    const listen_sock *lopt = q->listen_opt;
    if (!lopt || !lopt->qlen)
        return;
    for (u32 h = 0; h < lopt->nr_table_entries; h++)
        for (request_sock *req = lopt->syn_table[h]; req; req = req->dl_next) {
            const inet_request_sock *r = inet_rsk(req);
            tcp4_short_line(m, (*i)++, r->loc_addr, ntohs(tp->inet_sport), r->rmt_addr,
                            ntohs(r->rmt_port), TCP_SYN_RECV, 1, req->expires, req->num_timeout,
                            static_cast<unsigned>(tp->sk_uid), 0, req);
        }
}

static tcp_sock *tcp_by_node(hlist_nulls_node *n)
{
    return tcp_sk(container_of(n, sock, sk_nulls_node));
}

/// Visit every chain of listeners resp. of established connections with its lock held.
template <class F>
static void for_each_listener(F f)
{
    for (u32 h = 0; h < INET_LHTABLE_SIZE; h++) {
        inet_listen_hashbucket &b = tcp_hashinfo.listening_hash[h];
        spin_guard<bh> g{b.lock};
        for (auto *n = b.head.first; !is_a_nulls(n); n = n->next)
            f(tcp_by_node(n));
    }
}

static void tcp4_seq_show(seq_file *m)
{
    constexpr char head[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                            "retrnsmt   uid  timeout inode";
    put_line(m, head, sizeof head - 1);
    u32 i = 0;
    for_each_listener([&](tcp_sock *tp) {
        tcp4_sock_line(m, tp, i++);
        tcp4_requests(m, tp, &i);
    });
    for (u32 h = 0; h <= tcp_hashinfo.ehash_mask; h++) {
        inet_ehash_bucket &b = tcp_hashinfo.ehash[h];
        if (is_a_nulls(read_once(b.chain.first)) && is_a_nulls(read_once(b.twchain.first)))
            continue;
        spin_guard<bh> g{inet_ehash_lockp(h)};
        for (auto *n = b.chain.first; !is_a_nulls(n); n = n->next)
            tcp4_sock_line(m, tcp_by_node(n), i++);
        for (auto *n = b.twchain.first; !is_a_nulls(n); n = n->next) {
            const auto *tw = container_of(n, inet_timewait_sock, tw_nulls_node);
            tcp4_short_line(m, i++, tw->tw_rcv_saddr, ntohs(tw->tw_sport), tw->tw_daddr,
                            ntohs(tw->tw_dport), tw->tw_substate, 3, tw->tw_ttd, 0, 0,
                            tw->tw_refcnt.read(), tw);
        }
    }
}

// --- Dumps ----------------------------------------------------------------------------------------------

/// Length of a chain; lock held.
static u32 chain_len(const hlist_nulls_head &h)
{
    u32 n = 0;
    for (auto *e = h.first; !is_a_nulls(e); e = e->next)
        n++;
    return n;
}

static void show_ports(seq_file *m)
{
    for (u32 h = 0; h < tcp_hashinfo.bhash_size; h++) {
        inet_bind_hashbucket &b = tcp_hashinfo.bhash[h];
        if (!read_once(b.chain))
            continue;
        spin_guard<bh> g{b.lock};
        for (const inet_bind_bucket *tb = b.chain; tb; tb = tb->next)
            seq_printf(m, "port=%u owners=%d timewait=%d fastreuse=%d fastreuseport=%d\n", tb->port,
                       tb->num_owners, tb->tw_owners != nullptr, tb->fastreuse, tb->fastreuseport);
    }
}

/// Sums over ehash, then a line for each port in use.
static void tcp_table_show(seq_file *m)
{
    u32 sockets = 0, timewait = 0, longest = 0, used = 0, listeners = 0;
    for (u32 h = 0; h <= tcp_hashinfo.ehash_mask; h++) {
        inet_ehash_bucket &b = tcp_hashinfo.ehash[h];
        spin_guard<bh> g{inet_ehash_lockp(h)};
        u32 n = chain_len(b.chain), t = chain_len(b.twchain);
        sockets += n;
        timewait += t;
        used += n + t != 0;
        longest = max(longest, n + t);
    }
    for_each_listener([&](tcp_sock *) { listeners++; });
    seq_printf(
        m,
        "ehash=%u used=%u max_chain=%u sockets=%u timewait=%u listeners=%u lookups=%lu "
        "examined=%lu bhash=%u bsockets=%d port_tries=%lu syn_lookups=%lu syn_examined=%lu\n",
        tcp_hashinfo.ehash_mask + 1, used, longest, sockets, timewait, listeners,
        tcp_hashinfo.lookups.sum(), tcp_hashinfo.examined.sum(), tcp_hashinfo.bhash_size,
        tcp_hashinfo.bsockets.load(), tcp_hashinfo.port_tries.sum(), tcp_hashinfo.syn_lookups.sum(),
        tcp_hashinfo.syn_examined.sum());
    show_ports(m);
}

/// Chains of the SYN table by length: hist=chains of length 0, 1, 2, 3 and more.
static void show_syn_table(seq_file *m, request_sock_queue *q)
{
    spin_guard<plain> g{q->syn_wait_lock};
    const listen_sock *lopt = q->listen_opt;
    u32 hist[4] = {};
    for (u32 h = 0; h < lopt->nr_table_entries; h++) {
        u32 n = 0;
        for (const request_sock *req = lopt->syn_table[h]; req; req = req->dl_next)
            n++;
        hist[min(n, 3u)]++;
    }
    seq_printf(m, " nr_table_entries=%u max_qlen_log=%u qlen=%d qlen_young=%d clock_hand=%d",
               lopt->nr_table_entries, lopt->max_qlen_log, lopt->qlen, lopt->qlen_young,
               lopt->clock_hand);
    seq_printf(m, " hist=%u,%u,%u,%u\n", hist[0], hist[1], hist[2], hist[3]);
}

/// Both queues of every listener.
static void listen_show(seq_file *m)
{
    for_each_listener([&](tcp_sock *tp) {
        be32 local = tp->inet_rcv_saddr;
        request_sock_queue *q = &tp->icsk_accept_queue;
        seq_printf(m,
                   "sk=0x%016lx local=%pI4:%u ack_backlog=%u max_ack_backlog=%u accept_head=%d "
                   "defer_accept=%u",
                   reinterpret_cast<unsigned long>(tp), static_cast<void *>(&local), tp->inet_num,
                   tp->sk_ack_backlog, tp->sk_max_ack_backlog, q->rskq_accept_head != nullptr,
                   q->rskq_defer_accept);
        show_syn_table(m, q);
    });
}

int tcp_proc_init()
{
    debugfs_create("net/tcp_table", tcp_table_show);
    debugfs_create("net/listen", listen_show);
    return proc_create("net/tcp", tcp4_seq_show);
}
