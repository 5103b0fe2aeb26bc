// SPDX-License-Identifier: MIT
// Congestion control: the registry, and Reno (Linux net/ipv4/tcp_cong.c; RFC 5681). Socket lock held; the list has its own.

#include "fs/seq_file.h"
#include "lib/string.h"
#include "net/ipv4/tcp_engine.h"

static spinlock tcp_cong_list_lock{"tcp_cong_list"};
static tcp_congestion_ops *tcp_cong_list; // the first is the default

static tcp_congestion_ops *find(const char *name)
{
    for (tcp_congestion_ops *ca = tcp_cong_list; ca; ca = ca->next)
        if (!strcmp(ca->name, name))
            return ca;
    return nullptr;
}

int tcp_register_congestion_control(tcp_congestion_ops *ca)
{
    if (!ca->ssthresh || !ca->cong_avoid)
        return -EINVAL;
    spin_guard<bh> g{tcp_cong_list_lock};
    if (find(ca->name))
        return -EEXIST;
    ca->next = tcp_cong_list;
    tcp_cong_list = ca;
    return 0;
}

void tcp_init_congestion_control(sock *sk)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tp->icsk_ca_ops) {
        spin_guard<bh> g{tcp_cong_list_lock};
        tp->icsk_ca_ops = tcp_cong_list ? tcp_cong_list : &tcp_reno;
    }
    if (tp->icsk_ca_ops->init)
        tp->icsk_ca_ops->init(sk);
}

void tcp_cleanup_congestion_control(sock *sk)
{
    const tcp_congestion_ops *ca = inet_csk(sk)->icsk_ca_ops;
    if (ca && ca->release)
        ca->release(sk);
}

result<void> tcp_set_congestion_control(sock *sk, const char *name)
{
    tcp_congestion_ops *ca;
    {
        spin_guard<bh> g{tcp_cong_list_lock};
        ca = find(name);
    }
    if (!ca)
        return error{ENOENT};
    if (!ca->non_restricted && !capable_net())
        return error{EPERM};
    inet_connection_sock *icsk = inet_csk(sk);
    if (icsk->icsk_ca_ops == ca)
        return {};
    tcp_cleanup_congestion_control(sk);
    memset(icsk->icsk_ca_priv, 0, sizeof(icsk->icsk_ca_priv));
    icsk->icsk_ca_ops = ca;
    if (sk->sk_state != TCP_CLOSE && ca->init)
        ca->init(sk);
    return {};
}

// --- /proc/sys/net/ipv4/tcp_{available_,}congestion_control ------------------------------------------------------------------------------------

static void congestion_show(seq_file *m)
{
    spin_guard<bh> g{tcp_cong_list_lock};
    seq_printf(m, "%s\n", tcp_cong_list->name);
}

/// The default of new sockets goes to the head of the list. ENOENT: no such algorithm.
static int congestion_store(char *text, size_t, void *)
{
    char *end = text;
    while (*end && *end != ' ' && *end != '\n')
        end++;
    *end = 0;
    spin_guard<bh> g{tcp_cong_list_lock};
    tcp_congestion_ops *ca = find(text);
    if (!ca)
        return -ENOENT;
    tcp_congestion_ops **at = &tcp_cong_list;
    while (*at != ca)
        at = &(*at)->next;
    *at = ca->next;
    ca->next = tcp_cong_list;
    tcp_cong_list = ca;
    ca->non_restricted = true; // who may connect may use the default
    return 0;
}

static void congestion_list_show(seq_file *m)
{
    spin_guard<bh> g{tcp_cong_list_lock};
    bool allowed = m->private_data;
    const char *blank = "";
    for (tcp_congestion_ops *ca = tcp_cong_list; ca; ca = ca->next) {
        if (allowed && !ca->non_restricted)
            continue;
        seq_printf(m, "%s%s", blank, ca->name);
        blank = " ";
    }
    seq_puts(m, "\n");
}

void tcp_cong_sysctl_init()
{
    static char only_allowed;
    proc_create("sys/net/ipv4/tcp_congestion_control", congestion_show, nullptr, congestion_store);
    proc_create("sys/net/ipv4/tcp_available_congestion_control", congestion_list_show);
    proc_create("sys/net/ipv4/tcp_allowed_congestion_control", congestion_list_show, &only_allowed);
}

// --- Common parts ------------------------------------------------------------------------------------------------------------------------------

bool tcp_is_cwnd_limited(const sock *sk, u32 in_flight)
{
    const tcp_sock *tp = tcp_sk(sk);
    if (in_flight >= tp->snd_cwnd)
        return true;
    u32 left = tp->snd_cwnd - in_flight;
    const dst_entry *d = sk->sk_dst_cache;
    // What waits for a bigger burst is limited by cwnd as well.
    if (d && (d->dev->features & NETIF_F_GSO) &&
        left * static_cast<u32>(sysctl_tcp_tso_win_divisor) < tp->snd_cwnd &&
        left * tp->mss_cache < GSO_MAX_SIZE)
        return true;
    return left <= 3; // a burst of three more is allowed
}

u32 tcp_slow_start(tcp_sock *tp)
{
    u32 cnt =
        sysctl_tcp_max_ssthresh > 0 && tp->snd_cwnd > static_cast<u32>(sysctl_tcp_max_ssthresh)
            ? static_cast<u32>(sysctl_tcp_max_ssthresh) >> 1 // RFC 3742
            : tp->snd_cwnd;
    u32 delta = 0;
    tp->snd_cwnd_cnt += cnt;
    while (tp->snd_cwnd_cnt >= tp->snd_cwnd) {
        tp->snd_cwnd_cnt -= tp->snd_cwnd;
        delta++;
    }
    tp->snd_cwnd = min(tp->snd_cwnd + delta, tp->snd_cwnd_clamp);
    return delta;
}

void tcp_cong_avoid_ai(tcp_sock *tp, u32 w)
{
    if (tp->snd_cwnd_cnt >= w) {
        if (tp->snd_cwnd < tp->snd_cwnd_clamp)
            tp->snd_cwnd++;
        tp->snd_cwnd_cnt = 0;
    } else {
        tp->snd_cwnd_cnt++;
    }
}

// --- Reno (RFC 5681 §3.1) ----------------------------------------------------------------------------------------------------------------------

void tcp_reno_cong_avoid(sock *sk, u32, u32 in_flight)
{
    tcp_sock *tp = tcp_sk(sk);
    if (!tcp_is_cwnd_limited(sk, in_flight))
        return;
    if (tp->snd_cwnd <= tp->snd_ssthresh)
        tcp_slow_start(tp);
    else
        tcp_cong_avoid_ai(tp, tp->snd_cwnd);
}

u32 tcp_reno_ssthresh(sock *sk)
{
    return max(tcp_sk(sk)->snd_cwnd >> 1, 2u);
}

u32 tcp_reno_min_cwnd(const sock *sk)
{
    return tcp_sk(sk)->snd_ssthresh / 2;
}

tcp_congestion_ops tcp_reno{
    .name = "reno",
    .non_restricted = true,
    .init = nullptr,
    .release = nullptr,
    .ssthresh = tcp_reno_ssthresh,
    .min_cwnd = tcp_reno_min_cwnd,
    .cong_avoid = tcp_reno_cong_avoid,
    .set_state = nullptr,
    .cwnd_event = nullptr,
    .undo_cwnd = nullptr,
    .pkts_acked = nullptr,
    .get_info = nullptr,
    .next = nullptr,
};
