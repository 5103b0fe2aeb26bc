// SPDX-License-Identifier: MIT
// Sockets from the process's side: waiting readers (rows U-08…U-10), wake-ups (K-03, W-12), the socket lock, options, the send buffer.
#include "sock_util.h"

constexpr be32 us = ip4(10, 9, 0, 2), them = ip4(10, 9, 0, 1);

static sk_buff *text(u16 dport, const char *s)
{
    return udp_packet(them, 9, us, dport, s, static_cast<u32>(strlen(s)));
}

// --- waiting readers --------------------------------------------------------------------------------------

struct readers {
    test_socket s;
    int started = 0, done = 0, got = 0;
    ssize_t last = 0;
    u64 switches = 0;
};

static void read_one(void *p)
{
    auto *r = static_cast<readers *>(p);
    char buf[64];
    u64 before = current()->nvcsw;
    r->started++;
    r->last = r->s.recv(buf, sizeof buf);
    r->switches += current()->nvcsw - before;
    r->got += r->last >= 0;
    r->done++;
}

static void start_readers(readers &r, int n)
{
    for (int i = 0; i < n; i++) {
        wake_up_process(kthread_create(read_one, &r, -1, "reader/%d", i));
        while (r.started <= i)
            msleep(1);
    }
    msleep(2);
}

static unsigned waiters(test_socket &s)
{
    wait_queue_head *q = sk_sleep(s.sk());
    spin_guard<irqsave> g{q->lock};
    unsigned n = 0;
    for (wait_queue &w : q->task_list) {
        HOST_EXPECT(w.flags & WQ_FLAG_EXCLUSIVE);
        HOST_EXPECT(static_cast<task_struct *>(w.private_)->state.load() == TASK_INTERRUPTIBLE);
        n++;
    }
    return n;
}

static void empty_queue_is_eagain(void *)
{
    test_socket s;
    char c;
    HOST_EXPECT(s.bind(us, 7100) == 0);
    HOST_EXPECT(s.recv(&c, 1, MSG_DONTWAIT) == -EAGAIN);
}

static void reader_sleeps_until_a_packet_comes(void *)
{
    readers r;
    HOST_EXPECT(r.s.bind(us, 7101) == 0);
    start_readers(r, 1);
    msleep(50);
    HOST_EXPECT(r.done == 0 && waiters(r.s) == 1);
    deliver(text(7101, "wake up"));
    msleep(2);
    HOST_EXPECT(r.done == 1 && r.last == 7);
    HOST_EXPECT(r.switches == 1); // out once (and in once): rows W-02, W-10
    HOST_EXPECT(waiters(r.s) == 0);
}

static void one_datagram_wakes_one_of_four(void *)
{
    readers r;
    HOST_EXPECT(r.s.bind(us, 7102) == 0);
    start_readers(r, 4);
    HOST_EXPECT(waiters(r.s) == 4);
    for (int i = 1; i <= 4; i++) {
        deliver(text(7102, "one"));
        msleep(2);
        HOST_EXPECT(r.done == i && r.got == i);
        HOST_EXPECT(waiters(r.s) == static_cast<unsigned>(4 - i));
    }
    HOST_EXPECT(r.switches == 4); // nobody else was woken for nothing
}

static void receive_timeout_ends_the_wait(void *)
{
    readers r;
    HOST_EXPECT(r.s.bind(us, 7103) == 0);
    r.s.sk()->sk_rcvtimeo = 30;
    start_readers(r, 1);
    msleep(20);
    HOST_EXPECT(r.done == 0);
    msleep(20);
    HOST_EXPECT(r.done == 1 && r.last == -EAGAIN);
    HOST_EXPECT(waiters(r.s) == 0);
}

static void shutdown_and_errors_end_the_wait(void *)
{
    readers r;
    HOST_EXPECT(r.s.bind(us, 7104) == 0);
    start_readers(r, 1);
    HOST_EXPECT(r.s.s->ops->shutdown(r.s.s, 0).err() ==
                ENOTCONN); // told so, and shut down all the same
    msleep(2);
    HOST_EXPECT(r.done == 1 && r.last == 0);
    HOST_EXPECT(r.s.s->ops->shutdown(r.s.s, 3).err() == EINVAL);

    readers e;
    HOST_EXPECT(e.s.bind(us, 7105) == 0);
    start_readers(e, 1);
    e.s.sk()->sk_err.store(ECONNREFUSED);
    e.s.sk()->sk_error_report(e.s.sk());
    msleep(2);
    HOST_EXPECT(e.done == 1 && e.last == -ECONNREFUSED);
    char c;
    HOST_EXPECT(e.s.recv(&c, 1, MSG_DONTWAIT) == -EAGAIN); // reported once
}

static void readers_ignore_a_writers_wakeup(void *)
{
    readers r;
    HOST_EXPECT(r.s.bind(us, 7106) == 0);
    start_readers(r, 1);
    r.s.sk()->sk_write_space(r.s.sk());
    msleep(2);
    HOST_EXPECT(waiters(r.s) == 1 && r.switches == 0);
    deliver(text(7106, "x"));
    msleep(2);
    HOST_EXPECT(r.done == 1);
}

static void peek_and_truncation(void *)
{
    test_socket s;
    char buf[16];
    HOST_EXPECT(s.bind(us, 7107) == 0);
    deliver(text(7107, "0123456789"));
    deliver(text(7107, "next"));
    HOST_EXPECT(s.recv(buf, 4, MSG_PEEK) == 4 && !memcmp(buf, "0123", 4));
    HOST_EXPECT(s.recv(buf, 4, MSG_PEEK | MSG_TRUNC) == 10);
    HOST_EXPECT(s.queued() == 2);
    iov_iter to = iov_iter::kernel(buf, 4);
    sockaddr_storage from;
    msghdr m;
    m.msg_iter = &to;
    m.msg_name = &from;
    auto r = sock_recvmsg(s.s, &m, 4, 0);
    HOST_EXPECT(r && *r == 4 && m.msg_flags == MSG_TRUNC && m.msg_namelen == 16);
    auto *sin = reinterpret_cast<sockaddr_in *>(&from);
    HOST_EXPECT(sin->sin_family == AF_INET && sin->sin_addr == them && sin->sin_port == htons(9));
    HOST_EXPECT(s.recv(buf, sizeof buf) == 4 &&
                !memcmp(buf, "next", 4)); // the rest of the first is gone
    HOST_EXPECT(s.sk()->sk_rmem_alloc.load() == 0);
}

// --- the socket lock ------------------------------------------------------------------------------------------

struct lock_race {
    test_socket s;
    int inside = 0, done = 0;
};

static void lock_many_times(void *p)
{
    auto *l = static_cast<lock_race *>(p);
    for (int i = 0; i < 100; i++) {
        if (i % 4 == 3) {
            bool slow = lock_sock_fast(l->s.sk());
            HOST_EXPECT(l->inside++ == 0);
            l->inside--;
            unlock_sock_fast(l->s.sk(), slow);
            continue;
        }
        lock_sock(l->s.sk());
        HOST_EXPECT(l->inside++ == 0);
        HOST_EXPECT(sock_owned_by_user(l->s.sk()));
        if (i % 5 == 0)
            msleep(1); // the owner may sleep
        l->inside--;
        release_sock(l->s.sk());
    }
    l->done++;
}

static void lock_excludes_and_nothing_is_lost(void *)
{
    lock_race l;
    HOST_EXPECT(l.s.bind(us, 7110) == 0);
    host_preempt(6);
    for (int i = 0; i < 4; i++)
        wake_up_process(kthread_create(lock_many_times, &l, -1, "lock/%d", i));
    unsigned sent = 0;
    while (l.done < 4) {
        if (sent < 100) {
            deliver(text(7110, "n"));
            sent++;
        }
        msleep(1);
    }
    host_preempt(0);
    HOST_EXPECT(l.s.queued() == sent);
    HOST_EXPECT(!l.s.sk()->sk_lock.owned && !l.s.sk()->sk_backlog.head);
}

// --- the send buffer ---------------------------------------------------------------------------------------------

struct sender {
    test_socket s;
    sk_buff *skb = nullptr;
    int err = 0, done = 0;
};

static void allocate_one(void *p)
{
    auto *t = static_cast<sender *>(p);
    auto r = sock_alloc_send_skb(t->s.sk(), 1000, false);
    t->err = r.err();
    t->skb = r ? *r : nullptr;
    t->done++;
}

static void send_buffer_blocks_and_frees(void *)
{
    sender t;
    sock *sk = t.s.sk();
    static sk_buff *held[1000];
    int n = 0;
    for (;;) {
        auto r = sock_alloc_send_skb(sk, 1000, true);
        if (!r) {
            HOST_EXPECT(r.err() == EAGAIN);
            break;
        }
        held[n++] = *r;
    }
    HOST_EXPECT(sk_wmem_alloc_get(sk) >= sk->sk_sndbuf - 1);
    wake_up_process(kthread_create(allocate_one, &t, -1, "sender"));
    msleep(2);
    HOST_EXPECT(t.done == 0);
    int i = 0;
    while (!t.done && i < n) {
        kfree_skb(held[i++]);
        msleep(1);
    }
    HOST_EXPECT(i > n / 3); // woken when half is free, not at the first packet
    HOST_EXPECT(t.skb && t.err == 0);
    kfree_skb(t.skb);
    while (i < n)
        kfree_skb(held[i++]);
    HOST_EXPECT(sk_wmem_alloc_get(sk) == 0);
    sk->sk_shutdown |= SEND_SHUTDOWN;
    HOST_EXPECT(sock_alloc_send_skb(sk, 10, false).err() == EPIPE);
}

static void sock_outlives_close_with_packets_in_flight(void *)
{
    auto *t = knew<test_socket>(GFP_KERNEL);
    auto r = sock_alloc_send_skb(t->sk(), 100, true);
    HOST_EXPECT(r);
    kdelete(t);
    synchronize_rcu();
    msleep(2);
    kfree_skb(*r); // ASan tells if the sock is gone
    msleep(2);
}

// --- options --------------------------------------------------------------------------------------------------------

/// What the kernel takes for user memory.
static struct {
    int value, len;
    s64 tv[2];
} user;
static int set(test_socket &s, int level, int name, int v)
{
    user.value = v;
    user_ptr<const void> p{reinterpret_cast<u64>(&user.value)};
    auto r = level == SOL_SOCKET ? sock_setsockopt(s.s, level, name, p, sizeof v)
                                 : s.s->ops->setsockopt(s.s, level, name, p, sizeof v);
    return -r.err();
}
/// The value, or -errno.
static int get(test_socket &s, int level, int name)
{
    user.len = sizeof user.value;
    user_ptr<void> p{reinterpret_cast<u64>(&user.value)};
    user_ptr<int> l{reinterpret_cast<u64>(&user.len)};
    auto r = level == SOL_SOCKET ? sock_getsockopt(s.s, level, name, p, l)
                                 : s.s->ops->getsockopt(s.s, level, name, p, l);
    return r ? user.value : -r.err();
}

static void buffer_sizes(void *)
{
    test_socket s;
    HOST_EXPECT(get(s, SOL_SOCKET, SO_RCVBUF) == 212992 && get(s, SOL_SOCKET, SO_SNDBUF) == 212992);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_RCVBUF, 10000) == 0 &&
                get(s, SOL_SOCKET, SO_RCVBUF) == 20000);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_RCVBUF, 1) == 0 && get(s, SOL_SOCKET, SO_RCVBUF) == 2288);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_RCVBUF, -1) == 0 &&
                get(s, SOL_SOCKET, SO_RCVBUF) == 2 * 212992);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_SNDBUF, 0) == 0 && get(s, SOL_SOCKET, SO_SNDBUF) == 2048);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20) == 0 &&
                get(s, SOL_SOCKET, SO_SNDBUF) == 2 << 20);
}

static void option_errors(void *)
{
    test_socket s;
    HOST_EXPECT(set(s, SOL_SOCKET, 9999, 1) == -ENOPROTOOPT &&
                get(s, SOL_SOCKET, 9999) == -ENOPROTOOPT);
    HOST_EXPECT(set(s, SOL_SOCKET, SO_TYPE, 1) == -ENOPROTOOPT &&
                get(s, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
    HOST_EXPECT(get(s, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP &&
                get(s, SOL_SOCKET, SO_DOMAIN) == AF_INET);
    HOST_EXPECT(set(s, SOL_IP, IP_TTL, 0) == -EINVAL && set(s, SOL_IP, IP_TTL, 256) == -EINVAL);
    HOST_EXPECT(set(s, SOL_IP, IP_TTL, 9) == 0 && get(s, SOL_IP, IP_TTL) == 9);
    HOST_EXPECT(set(s, SOL_IP, IP_HDRINCL, 1) == -ENOPROTOOPT);
    HOST_EXPECT(set(s, SOL_IP, IP_MTU_DISCOVER, 4) == -EINVAL &&
                get(s, SOL_IP, IP_MTU) == -ENOTCONN);
    HOST_EXPECT(set(s, 77, 1, 1) == -ENOPROTOOPT);
    auto bad = sock_setsockopt(s.s, SOL_SOCKET, SO_REUSEADDR, user_ptr<const void>{8}, 4);
    HOST_EXPECT(bad.err() == EFAULT);
    user_ptr<const void> p{reinterpret_cast<u64>(&user.value)};
    HOST_EXPECT(sock_setsockopt(s.s, SOL_SOCKET, SO_REUSEADDR, p, 3).err() == EINVAL);
    s.sk()->sk_err.store(EHOSTUNREACH);
    HOST_EXPECT(get(s, SOL_SOCKET, SO_ERROR) == EHOSTUNREACH && get(s, SOL_SOCKET, SO_ERROR) == 0);
}

static void timeouts(void *)
{
    test_socket s;
    user_ptr<const void> p{reinterpret_cast<u64>(user.tv)};
    auto put = [&](s64 sec, s64 usec) {
        user.tv[0] = sec;
        user.tv[1] = usec;
        return sock_setsockopt(s.s, SOL_SOCKET, SO_RCVTIMEO, p, sizeof user.tv).err();
    };
    HOST_EXPECT(put(1, 500001) == 0 && s.sk()->sk_rcvtimeo == 1501);
    HOST_EXPECT(put(0, 0) == 0 && s.sk()->sk_rcvtimeo == MAX_SCHEDULE_TIMEOUT);
    HOST_EXPECT(put(-1, 0) == 0 && s.sk()->sk_rcvtimeo == 0);
    HOST_EXPECT(put(0, 1000000) == EDOM);
    HOST_EXPECT(put(INT64_MAX, 0) == 0 && s.sk()->sk_rcvtimeo == MAX_SCHEDULE_TIMEOUT);
}

static void graph_invariants(void *)
{
    test_socket s;
    HOST_EXPECT(s.s->sk->sk_socket == s.s && s.s->wq == s.sk()->sk_wq);
    HOST_EXPECT(s.s->ops == &inet_dgram_ops && s.sk()->sk_prot == &udp_prot);
    HOST_EXPECT(s.sk()->sk_data_ready == sock_def_readable &&
                s.sk()->sk_state_change == sock_def_wakeup);
    HOST_EXPECT(s.sk()->sk_backlog_rcv == __udp_queue_rcv_skb);
}

extern "C" int main()
{
    host_user_memory(&user, sizeof user);
    unit_main(
        "sock",
        {KERNEL_UNIT(empty_queue_is_eagain), KERNEL_UNIT(reader_sleeps_until_a_packet_comes),
         KERNEL_UNIT(one_datagram_wakes_one_of_four), KERNEL_UNIT(receive_timeout_ends_the_wait),
         KERNEL_UNIT(shutdown_and_errors_end_the_wait),
         KERNEL_UNIT(readers_ignore_a_writers_wakeup), KERNEL_UNIT(peek_and_truncation),
         KERNEL_UNIT(lock_excludes_and_nothing_is_lost), KERNEL_UNIT(send_buffer_blocks_and_frees),
         KERNEL_UNIT(sock_outlives_close_with_packets_in_flight), KERNEL_UNIT(buffer_sizes),
         KERNEL_UNIT(option_errors), KERNEL_UNIT(timeouts), KERNEL_UNIT(graph_invariants)},
        2);
}
