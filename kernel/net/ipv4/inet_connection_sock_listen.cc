// SPDX-License-Identifier: MIT
// The listener's two queues at work: listen, half-open requests with their SYN-ACK timer, the end of listening (Linux
// net/ipv4/inet_connection_sock.c; atlas §13, §15, §18; rows N-01…N-08, H-08, H-09). The listener's socket lock protects the queues.

#include "lib/random.h"
#include "net/ipv4/tcp.h"

result<void> inet_csk_listen_start(sock *sk, u32 backlog)
{
    inet_sock *inet = inet_sk(sk);
    inet_connection_sock *icsk = inet_csk(sk);
    u32 entries =
        reqsk_table_entries(backlog, static_cast<u32>(read_once(sysctl_tcp_max_syn_backlog)));
    TRY_VOID(reqsk_queue_alloc(&icsk->icsk_accept_queue, entries));
    icsk->sk_max_ack_backlog = 0;
    icsk->sk_ack_backlog = 0;
    inet_csk_delack_init(sk);
    // First the state, then the port: of two sockets with SO_REUSEADDR that bound the same port only one may come to listen, and
    // who is second sees the other listening. Nobody finds us before inet_hash().
    sk->sk_state = TCP_LISTEN;
    if (sk->sk_prot->get_port(sk, inet->inet_num)) {
        inet->inet_sport = htons(inet->inet_num);
        sk_dst_reset(sk);
        sk->sk_prot->hash(sk);
        return {};
    }
    sk->sk_state = TCP_CLOSE;
    reqsk_queue_destroy(&icsk->icsk_accept_queue);
    return error{EADDRINUSE};
}

/// A child that nobody accepted: RST to its peer, and gone. Its reference was the queue's.
static void discard_child(sock *sk, sock *child)
{
    local_bh_disable();
    {
        bh_lock_sock(child);
        BUG_ON(sock_owned_by_user(child));
        sock_hold(child);
        (void)sk->sk_prot->disconnect(child, O_NONBLOCK);
        sock_orphan(child);
        tcp_orphan_count.fetch_add(1, std::memory_order_relaxed);
        inet_csk_destroy_sock(child);
        bh_unlock_sock(child);
    }
    local_bh_enable();
    sock_put(child);
}

void inet_csk_listen_stop(sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    inet_csk_delete_keepalive_timer(sk);
    request_sock *req = icsk->icsk_accept_queue.rskq_accept_head;
    icsk->icsk_accept_queue.rskq_accept_head = icsk->icsk_accept_queue.rskq_accept_tail = nullptr;
    // Half-open ones are simply forgotten: what comes later finds no socket and is answered with RST.
    reqsk_queue_destroy(&icsk->icsk_accept_queue);
    while (req) {
        request_sock *next = req->dl_next;
        discard_child(sk, req->sk);
        icsk->sk_ack_backlog--;
        reqsk_free(req);
        req = next;
    }
    BUG_ON(icsk->sk_ack_backlog);
}

// --- Half-open requests -----------------------------------------------------------------------------

static u32 inet_synq_hash(be32 raddr, be16 rport, const listen_sock *lopt)
{
    return jhash_3words(raddr.raw, rport.raw, 0, lopt->hash_rnd) & (lopt->nr_table_entries - 1);
}

request_sock *inet_csk_search_req(sock *sk, request_sock ***prevp, be16 rport, be32 raddr,
                                  be32 laddr)
{
    listen_sock *lopt = inet_csk(sk)->icsk_accept_queue.listen_opt;
    request_sock **prev = &lopt->syn_table[inet_synq_hash(raddr, rport, lopt)];
    tcp_hashinfo.syn_lookups.inc();
    for (; request_sock *req = *prev; prev = &req->dl_next) {
        const inet_request_sock *ireq = inet_rsk(req);
        tcp_hashinfo.syn_examined.inc();
        if (ireq->rmt_port == rport && ireq->rmt_addr == raddr && ireq->loc_addr == laddr) {
            BUG_ON(req->sk);
            *prevp = prev;
            return req;
        }
    }
    return nullptr;
}

void inet_csk_reqsk_queue_hash_add(sock *sk, request_sock *req, u32 timeout)
{
    request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
    listen_sock *lopt = queue->listen_opt;
    u32 h = inet_synq_hash(inet_rsk(req)->rmt_addr, inet_rsk(req)->rmt_port, lopt);
    req->expires = jiffies() + timeout;
    req->num_retrans = 0;
    req->num_timeout = 0;
    req->sk = nullptr;
    req->dl_next = lopt->syn_table[h];
    {
        spin_guard<plain> g{queue->syn_wait_lock};
        write_once(lopt->syn_table[h], req);
    }
    lopt->qlen_young++;
    if (lopt->qlen++ == 0)
        inet_csk_reset_keepalive_timer(sk, timeout);
}

void inet_csk_reqsk_queue_unlink(sock *sk, request_sock *req, request_sock **prev)
{
    request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
    reqsk_queue_unlink(queue, req, prev);
    if (reqsk_queue_removed(queue, req) == 0)
        inet_csk_delete_keepalive_timer(sk);
}

void inet_csk_reqsk_queue_drop(sock *sk, request_sock *req, request_sock **prev)
{
    inet_csk_reqsk_queue_unlink(sk, req, prev);
    reqsk_free(req);
}

void inet_csk_reqsk_queue_add(sock *sk, request_sock *req, sock *child)
{
    reqsk_queue_add(&inet_csk(sk)->icsk_accept_queue, req, child);
    inet_csk(sk)->sk_ack_backlog++;
}

// --- The SYN-ACK timer ------------------------------------------------------------------------------

/// How often SYN-ACKs are sent again. With the table more than half full old requests get fewer chances, the fewer the fewer young
/// ones there are among them, so that young ones find room.
static int synack_threshold(const listen_sock *lopt, int max_retries)
{
    int thresh = max_retries;
    if (lopt->qlen >> (lopt->max_qlen_log - 1)) {
        int young = lopt->qlen_young << 1;
        while (thresh > 2) {
            if (lopt->qlen < young)
                break;
            thresh--;
            young <<= 1;
        }
    }
    return thresh;
}

/// What is due for a request whose time has come. A client that has sent its ACK while accept was deferred (TCP_DEFER_ACCEPT) is
/// spared SYN-ACKs until the last one, which makes it answer.
struct synack_decision {
    bool expire, resend;
};
static synack_decision syn_ack_recalc(const request_sock *req, int thresh, int max_retries,
                                      u8 rskq_defer_accept)
{
    bool acked = static_cast<const inet_request_sock *>(req)->acked;
    if (!rskq_defer_accept)
        return {req->num_timeout >= thresh, true};
    return {req->num_timeout >= thresh && (!acked || req->num_timeout >= max_retries),
            !acked || req->num_timeout >= rskq_defer_accept - 1};
}

int inet_rtx_syn_ack(sock *sk, request_sock *req)
{
    int err = req->rsk_ops->rtx_syn_ack(sk, req);
    if (!err)
        req->num_retrans++;
    return err;
}

/// One request whose time has come: true when it was dropped.
static bool prune_one(sock *parent, request_sock **reqp, int thresh, int max_retries, u64 now,
                      u32 timeout, u32 max_rto)
{
    request_sock_queue *queue = &inet_csk(parent)->icsk_accept_queue;
    request_sock *req = *reqp;
    synack_decision d = syn_ack_recalc(req, thresh, max_retries, queue->rskq_defer_accept);
    NET_INC_STATS(LINUX_MIB_TCPTimeouts);
    bool sent = false;
    if (!d.expire && d.resend)
        sent = inet_rtx_syn_ack(parent, req) == 0;
    if (!d.expire && (!d.resend || sent || inet_rsk(req)->acked)) {
        if (req->num_timeout++ == 0)
            queue->listen_opt->qlen_young--;
        u64 timeo = min<u64>(u64{timeout} << min<u32>(req->num_timeout, 31), max_rto);
        req->expires = now + timeo;
        return false;
    }
    reqsk_queue_unlink(queue, req, reqp);
    reqsk_queue_removed(queue, req);
    reqsk_free(req);
    return true;
}

void inet_csk_reqsk_queue_prune(sock *parent, u32 interval, u32 timeout, u32 max_rto)
{
    inet_connection_sock *icsk = inet_csk(parent);
    request_sock_queue *queue = &icsk->icsk_accept_queue;
    listen_sock *lopt = queue->listen_opt;
    if (!lopt || lopt->qlen == 0)
        return;
    int max_retries =
        icsk->icsk_syn_retries ? icsk->icsk_syn_retries : read_once(sysctl_tcp_synack_retries);
    int thresh = synack_threshold(lopt, max_retries);
    if (queue->rskq_defer_accept)
        max_retries = queue->rskq_defer_accept;
    // A part of the table per round, so that all of it is seen twice within the first time-out.
    u32 budget = 2 * (lopt->nr_table_entries / (timeout / interval));
    u64 now = jiffies();
    u32 i = static_cast<u32>(lopt->clock_hand);
    do {
        request_sock **reqp = &lopt->syn_table[i];
        while (request_sock *req = *reqp) {
            if (time_after_eq(now, req->expires) &&
                prune_one(parent, reqp, thresh, max_retries, now, timeout, max_rto))
                continue;
            reqp = &req->dl_next;
        }
        i = (i + 1) & (lopt->nr_table_entries - 1);
    } while (--budget > 0);
    lopt->clock_hand = static_cast<int>(i);
    if (lopt->qlen)
        inet_csk_reset_keepalive_timer(parent, interval);
}
