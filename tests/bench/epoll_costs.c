// SPDX-License-Identifier: MIT
// What one event costs among 10, 1,000 and 100,000 idle descriptors, as process 1 of a guest under -icount shift=0,sleep=off, where a
// nanosecond of virtual time is one instruction. Prints "cost NAME INSTRUCTIONS" lines and "done", then powers off. The least of
// several rounds counts, so that a timer's interrupt in one of them does not. The same bytes run on Softnet and on Linux.
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, EVENTS = 200, BATCH = 10, MOST = 100000, SPARE = 64 };

static int fds[MOST], ep;
static struct pollfd polled[MOST];

static void fail(const char *what)
{
    perror(what);
    fflush(stdout);
    reboot(RB_AUTOBOOT);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); // never by a vDSO: it may have another clock
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f))
        fail(path);
}

/// `batch` of `n` descriptors, spread over all of them, become ready; one call says which; each is read.
static void by_epoll(int n, int batch)
{
    struct epoll_event ev[BATCH];
    for (int i = 0; i < batch; i++)
        if (eventfd_write(fds[(int64_t)i * n / batch], 1))
            fail("write");
    if (epoll_wait(ep, ev, batch, -1) != batch)
        fail("epoll_wait");
    for (int i = 0; i < batch; i++) {
        eventfd_t v;
        if (eventfd_read(ev[i].data.fd, &v))
            fail("read");
    }
}

/// The same with poll, which is given all descriptors each time.
static void by_poll(int n, int batch)
{
    for (int i = 0; i < batch; i++)
        if (eventfd_write(fds[(int64_t)i * n / batch], 1))
            fail("write");
    if (poll(polled, (nfds_t)n, -1) != batch)
        fail("poll");
    for (int i = 0; i < n; i++) {
        eventfd_t v;
        if (polled[i].revents && eventfd_read(polled[i].fd, &v))
            fail("read");
    }
}

static void measure(const char *name, void (*f)(int, int), int n, int batch, int calls)
{
    int64_t best = INT64_MAX;
    f(n, batch); // caches, and what is only done the first time
    f(n, batch); // level-triggered: what was reported before is looked at once more
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = now();
        for (int i = 0; i < calls; i++)
            f(n, batch);
        int64_t taken = now() - start;
        best = taken < best ? taken : best;
    }
    printf("cost %s, %d descriptors %.1f\n", name, n, (double)best / calls / batch);
    fflush(stdout);
}

/// A new epoll that watches the first n descriptors.
static void watch(int n)
{
    ep = epoll_create1(0);
    int64_t start = now();
    for (int i = 0; i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fds[i]};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev))
            fail("ADD");
    }
    printf("cost ADD, to %d descriptors %.1f\n", n, (double)(now() - start) / n);
}

int main(void)
{
    struct rlimit many = {MOST + SPARE, MOST + SPARE};
    mkdir("/proc", 0755);
    if (mount("proc", "/proc", "proc", 0, NULL))
        fail("proc");
    write_text("/proc/sys/fs/file-max", "200000");
    if (setrlimit(RLIMIT_NOFILE, &many))
        fail("setrlimit");
    for (int i = 0; i < MOST; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        if (fds[i] < 0)
            fail("eventfd");
        polled[i] = (struct pollfd){fds[i], POLLIN, 0};
    }
    static const int sizes[] = {10, 1000, MOST};
    for (unsigned i = 0; i < 3; i++) {
        int n = sizes[i];
        watch(n);
        measure("epoll: write, wait, read; one ready", by_epoll, n, 1, EVENTS);
        measure("epoll: write, wait, read; ten ready", by_epoll, n, BATCH, EVENTS / BATCH);
        close(ep);
    }
    for (int n = 10; n <= 1000; n *= 100)
        measure("poll: write, wait, read; one ready", by_poll, n, 1, 20);
    puts("done");
    fflush(stdout);
    reboot(RB_AUTOBOOT); // with -no-reboot QEMU ends
    return 1;
}
