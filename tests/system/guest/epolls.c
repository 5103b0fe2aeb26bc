// SPDX-License-Identifier: MIT
// epoll from a program's side, on every kind of file: level, edge, ONESHOT, EXCLUSIVE, nesting, threads, signals, errors, fdinfo. Says the
// same on Linux.
#include "guest_test.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static struct epoll_event got[64];

static int ctl(int ep, int op, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    return epoll_ctl(ep, op, fd, &ev);
}
static int wait_now(int ep)
{
    return epoll_wait(ep, got, 64, 0);
}
/// A UDP socket of this host and one that sends to it.
static int receiver, sender;
static void make_sockets(void)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    receiver = udp_socket("127.0.0.1", 0);
    sender = udp_socket("127.0.0.1", 0);
    getsockname(receiver, (struct sockaddr *)&a, &n);
    check_value("connect", connect(sender, (struct sockaddr *)&a, n), 0);
}
/// Send one that the receiver has before this returns, if it had none: a busy softirq may be late even on loopback.
static void send_first(const char *byte)
{
    struct pollfd p = {receiver, POLLIN, 0};
    send(sender, byte, 1, 0);
    poll(&p, 1, PATIENCE_MS);
}
static void close_sockets(void)
{
    close(receiver);
    close(sender);
}
static void drain(int fd)
{
    char buf[256];
    while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
}

static void errors(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    check("create", ep >= 0, NULL);
    check_value("cloexec", fcntl(ep, F_GETFD), FD_CLOEXEC);
    check_errno("create(0)", syscall(SYS_epoll_create, 0), EINVAL); // libc's looks at no size
    check_errno("create1(flags)", epoll_create1(4), EINVAL);
    check_value("pipe", pipe(p), 0);
    check_errno("ADD of a closed one", ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN), EBADF);
    check_errno("ADD to a closed one", ctl(99, EPOLL_CTL_ADD, p[0], EPOLLIN), EBADF);
    check_errno("ADD to a pipe", ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN), EINVAL);
    check_errno("ADD of itself", ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
    int regular = open("/tmp/epolls", O_RDWR | O_CREAT, 0600), dir = open("/", O_RDONLY);
    check_errno("ADD of a regular file", ctl(ep, EPOLL_CTL_ADD, regular, EPOLLIN), EPERM);
    check_errno("ADD of a directory", ctl(ep, EPOLL_CTL_ADD, dir, EPOLLIN), EPERM);
    check_errno("MOD of an unknown one", ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), ENOENT);
    check_errno("DEL of an unknown one", ctl(ep, EPOLL_CTL_DEL, p[0], EPOLLIN), ENOENT);
    check_value("ADD", ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
    check_errno("ADD again", ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
    check_errno("op 9", ctl(ep, 9, p[0], EPOLLIN), EINVAL);
    check_errno("wild event", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], (void *)8), EFAULT);
    check_value("DEL needs no event", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], (void *)8), 0);
    check_errno("maxevents 0", epoll_wait(ep, got, 0, 0), EINVAL);
    check_errno("maxevents -1", epoll_wait(ep, got, -1, 0), EINVAL);
    check_errno("wait on a pipe", epoll_wait(p[0], got, 1, 0), EINVAL);
    check_errno("wait on a closed one", epoll_wait(99, got, 1, 0), EBADF);
    check_errno("read", read(ep, got, 4), EINVAL);
    check_errno("write", write(ep, got, 4), EINVAL);
    for (unsigned i = 0; i < 2; i++)
        close(p[i]);
    close(regular);
    close(dir);
    close(ep);
    unlink("/tmp/epolls");
}

/// What a wild buffer cannot take is not lost.
static void wild_buffer(void)
{
    int ep = epoll_create1(0), e = eventfd(1, 0);
    ctl(ep, EPOLL_CTL_ADD, e, EPOLLIN | EPOLLET);
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_errno("unmapped buffer", epoll_wait(ep, page, 4, 0), EFAULT);
    check_errno("kernel buffer", epoll_wait(ep, (void *)0xffff888000000000, 4, 0), EFAULT);
    check_value("still there", wait_now(ep), 1);
    check_value("once", wait_now(ep), 0);
    munmap(page, 4096);
    close(ep);
    close(e);
}

static void level_and_edge(void)
{
    make_sockets();
    int lt = epoll_create1(0), et = epoll_create1(0);
    ctl(lt, EPOLL_CTL_ADD, receiver, EPOLLIN);
    ctl(et, EPOLL_CTL_ADD, receiver, EPOLLIN | EPOLLET);
    check_value("lt: nothing yet", wait_now(lt), 0);
    send_first("1");
    check_value("lt: first", wait_now(lt), 1);
    check_value("lt: again", wait_now(lt), 1);
    check_value("et: first", wait_now(et), 1);
    check_value("et: not again", wait_now(et), 0);
    send(sender, "2", 1, 0);
    check_value("et: another arrival", epoll_wait(et, got, 64, PATIENCE_MS), 1);
    drain(receiver);
    check_value("lt: drained", wait_now(lt), 0);
    check_value("et: drained", wait_now(et), 0);
    close_sockets();
    close(lt);
    close(et);
}

static void oneshot(void)
{
    make_sockets();
    int ep = epoll_create1(0);
    ctl(ep, EPOLL_CTL_ADD, receiver, EPOLLIN | EPOLLOUT | EPOLLONESHOT);
    send_first("a");
    check_value("oneshot: one event", wait_now(ep), 1);
    check_value("oneshot: both bits", got[0].events, EPOLLIN | EPOLLOUT);
    send(sender, "b", 1, 0);
    check_value("oneshot: masked", wait_now(ep), 0);
    check_errno("oneshot: still added", ctl(ep, EPOLL_CTL_ADD, receiver, EPOLLIN), EEXIST);
    check_value("oneshot: MOD", ctl(ep, EPOLL_CTL_MOD, receiver, EPOLLIN | EPOLLONESHOT), 0);
    check_value("oneshot: armed again", wait_now(ep), 1);
    close_sockets();
    check_value("oneshot: gone with its socket", wait_now(ep), 0);
    close(ep);
}

/// A stream: part of the data read is no news for an edge, and the end comes with the data as one event.
static void stream(void)
{
    int lt = epoll_create1(0), et = epoll_create1(0), s[2];
    char data[100] = "";
    check_value("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    ctl(lt, EPOLL_CTL_ADD, s[0], EPOLLIN);
    ctl(et, EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLRDHUP | EPOLLET | EPOLLONESHOT);
    check_value("stream: sent", send(s[1], data, 100, 0), 100);
    shutdown(s[1], SHUT_WR);
    check_value("stream: data and end are one event", wait_now(et), 1);
    check_value("stream: with both bits", got[0].events, EPOLLIN | EPOLLRDHUP);
    check_value("stream: oneshot", wait_now(et), 0);
    ctl(et, EPOLL_CTL_MOD, s[0], EPOLLIN | EPOLLET);
    check_value("stream: armed again", wait_now(et), 1);
    check_value("stream: some is read", recv(s[0], data, 10, 0), 10);
    check_value("stream: no news for the edge", wait_now(et), 0);
    check_value("stream: level is still ready", wait_now(lt), 1);
    close(s[0]);
    close(s[1]);
    close(lt);
    close(et);
}

static void order(void)
{
    int ep = epoll_create1(0), fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = eventfd(0, 0);
        ctl(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN);
    }
    for (int i = 4; i >= 0; i -= 2)
        eventfd_write(fds[i], 1);
    check_value("order: three ready", wait_now(ep), 3);
    for (int i = 0; i < 3; i++)
        check_value("order", got[i].data.fd, fds[4 - 2 * i]);
    check_value("order: two fit", epoll_wait(ep, got, 2, 0), 2);
    check_value("order: the rest", epoll_wait(ep, got, 2, 0), 2);
    check_value("order: the third comes first", got[0].data.fd, fds[0]);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    close(ep);
}

static void pipes(void)
{
    int ep = epoll_create1(0), p[2];
    check_value("pipe", pipe(p), 0);
    ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
    ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLET);
    check_value("pipe: room", wait_now(ep), 1);
    check_value("pipe: room, once", wait_now(ep), 0);
    check_value("pipe: written", write(p[1], "x", 1), 1);
    int copy = dup(p[0]);
    close(p[0]);
    check_value("pipe: the copy keeps it", wait_now(ep) > 0, 1);
    close(p[1]);
    check_value("pipe: hang-up", wait_now(ep), 1);
    check_value("pipe: bits", got[0].events, EPOLLIN | EPOLLHUP);
    close(copy);
    check_value("pipe: gone", wait_now(ep), 0);
    close(ep);
}

static void nested(void)
{
    int e = eventfd(0, 0), ep[7];
    for (int i = 0; i < 7; i++)
        ep[i] = epoll_create1(0);
    for (int i = 0; i < 4; i++)
        check_value("nest", ctl(ep[i], EPOLL_CTL_ADD, ep[i + 1], EPOLLIN), 0);
    check_errno("nest: circle", ctl(ep[3], EPOLL_CTL_ADD, ep[1], EPOLLIN), ELOOP);
    check_errno("nest: too deep", ctl(ep[4], EPOLL_CTL_ADD, ep[5], EPOLLIN), ELOOP);
    check_value("nest: a leaf", ctl(ep[4], EPOLL_CTL_ADD, e, EPOLLIN), 0);
    check_value("nest: nothing", wait_now(ep[0]), 0);
    eventfd_write(e, 1);
    struct pollfd p = {ep[0], POLLIN, 0};
    check_value("nest: poll sees the top", poll(&p, 1, 0), 1);
    for (int i = 0; i < 5; i++)
        check_value("nest: ready", wait_now(ep[i]), 1);
    eventfd_t v;
    eventfd_read(e, &v);
    check_value("nest: drained", wait_now(ep[0]), 0);
    for (int i = 0; i < 7; i++)
        close(ep[i]);
    close(e);
}

static void on_signal(int sig)
{
    (void)sig;
}

/// A thread that waits once on an epoll, until an event or a signal comes.
struct waiter {
    pthread_t thread;
    atomic_int tid, result; // result: PENDING until it has come back
    int ep;
};
enum { PENDING = 77 };
static void *wait_in_thread(void *p)
{
    struct waiter *w = p;
    struct epoll_event ev;
    w->tid = (int)syscall(SYS_gettid);
    w->result = epoll_wait(w->ep, &ev, 1, -1);
    return NULL;
}

static void start_waiter(struct waiter *w, int ep)
{
    *w = (struct waiter){.ep = ep, .result = PENDING};
    pthread_create(&w->thread, NULL, wait_in_thread, w);
    while (!w->tid)
        sleep_ms(1);
    wait_until_asleep(w->tid);
}

static int back(const struct waiter *w, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++)
        n += w[i].result == 1;
    return n;
}

/// How many of the waiters an event has brought back. The others, asleep again, are sent home by a signal.
static int end_waiters(struct waiter *w, int count)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    WAIT_FOR(back(w, count));
    for (int i = 0; i < count; i++)
        wait_until_asleep(w[i].tid);
    int woken = back(w, count);
    for (int i = 0; i < count; i++) {
        for (; w[i].result == PENDING; sleep_ms(1))
            pthread_kill(w[i].thread, SIGUSR1);
        pthread_join(w[i].thread, NULL);
    }
    return woken;
}

static void one_event_one_thread(void)
{
    int ep = epoll_create1(0), e = eventfd(0, 0);
    struct waiter w[4];
    ctl(ep, EPOLL_CTL_ADD, e, EPOLLIN | EPOLLET);
    for (int i = 0; i < 4; i++)
        start_waiter(&w[i], ep);
    eventfd_write(e, 1);
    check_value("one event wakes one of four", end_waiters(w, 4), 1);
    close(ep);
    close(e);
}

enum { SENT = 200 };
static atomic_int handling, overlaps, handled;
static int shared_ep, shared_socket;
static void *oneshot_worker(void *unused)
{
    struct epoll_event ev;
    char buf[64];
    (void)unused;
    for (double end = now() + PATIENCE_MS / 1000; handled < SENT && now() < end;) {
        if (epoll_wait(shared_ep, &ev, 1, 100) <= 0)
            continue;
        if (atomic_fetch_add(&handling, 1))
            overlaps++;
        while (recv(shared_socket, buf, sizeof buf, MSG_DONTWAIT) > 0)
            handled++;
        atomic_fetch_sub(&handling, 1);
        ctl(shared_ep, EPOLL_CTL_MOD, shared_socket, EPOLLIN | EPOLLONESHOT);
    }
    return NULL;
}

static void oneshot_has_one_owner(void)
{
    pthread_t t[4];
    make_sockets();
    shared_socket = receiver;
    shared_ep = epoll_create1(0);
    ctl(shared_ep, EPOLL_CTL_ADD, receiver, EPOLLIN | EPOLLONESHOT);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, oneshot_worker, NULL);
    for (int i = 0; i < SENT; i++)
        send(sender, "x", 1, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    check_value("oneshot: overlaps", overlaps, 0);
    check_value("oneshot: all handled", handled, SENT);
    close(shared_ep);
    close_sockets();
}

static void signals(void)
{
    int ep = epoll_create1(0);
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t none, alarm_set;
    sigaction(SIGALRM, &sa, NULL);
    alarm_every_ms(100);
    check_errno("signal", epoll_wait(ep, got, 1, 20000), EINTR);
    alarm_every_ms(0);
    sigemptyset(&none);
    sigemptyset(&alarm_set);
    sigaddset(&alarm_set, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm_set, NULL);
    raise(SIGALRM);
    check_errno("pwait opens the mask", epoll_pwait(ep, got, 1, 20000, &none), EINTR);
    check_value("pwait with it blocked", epoll_pwait(ep, got, 1, 10, &alarm_set), 0);
    struct timespec bad = {0, 1000000000}, some = {0, 1000000};
    check_errno("pwait2: bad time", syscall(441, ep, got, 1, &bad, NULL, 8L), EINVAL);
    check_value("pwait2: time-out", syscall(441, ep, got, 1, &some, NULL, 8L), 0);
    sigprocmask(SIG_UNBLOCK, &alarm_set, NULL);
    close(ep);
}

static void exclusive(void)
{
    int e = eventfd(0, 0), ep[3];
    struct waiter w[3];
    for (int i = 0; i < 3; i++) {
        ep[i] = epoll_create1(0);
        check_value("exclusive", ctl(ep[i], EPOLL_CTL_ADD, e, EPOLLIN | EPOLLEXCLUSIVE), 0);
        start_waiter(&w[i], ep[i]);
    }
    check_errno("exclusive: MOD", ctl(ep[0], EPOLL_CTL_MOD, e, EPOLLIN), EINVAL);
    check_errno("exclusive: with ONESHOT",
                ctl(ep[0], EPOLL_CTL_ADD, e, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    check_errno("exclusive: an epoll", ctl(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN | EPOLLEXCLUSIVE),
                EINVAL);
    eventfd_write(e, 1);
    check_value("exclusive: one of three epolls is woken", end_waiters(w, 3), 1);
    for (int i = 0; i < 3; i++)
        close(ep[i]);
    close(e);
}

static void forked(void)
{
    int ep = epoll_create1(0), e = eventfd(1, 0), status;
    ctl(ep, EPOLL_CTL_ADD, e, EPOLLIN);
    pid_t pid = fork();
    if (!pid) {
        close(e); // the parent still has it open
        _exit(wait_now(ep) == 1 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    check_value("fork: the child sees the event", status, 0);
    check_value("fork: and the parent", wait_now(ep), 1);
    close(ep);
    close(e);
}

/// The lines that both kernels have: "tfd: … events: … data: …".
static void fdinfo(void)
{
    int ep = epoll_create1(0), e = eventfd(0, 0);
    char path[64], line[256];
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 0xabcdef};
    epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", ep);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "tfd:", 4))
            printf("%.53s\n", line);
    if (f)
        fclose(f);
    close(ep);
    close(e);
}

int main(void)
{
    line_output();
    errors();
    wild_buffer();
    level_and_edge();
    oneshot();
    stream();
    order();
    pipes();
    nested();
    one_event_one_thread();
    oneshot_has_one_owner();
    signals();
    exclusive();
    forked();
    fdinfo();
    return failures != 0;
}
