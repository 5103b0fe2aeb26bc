// SPDX-License-Identifier: MIT
// The echo server on epoll: connections are registered once, and each wait returns those that are ready. One loop (level- or edge-triggered),
// or several reactors: threads with a loop each, which share the port (reuseport) or the listening socket (shared, exclusive).
#include "tcpecho.h"
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { BATCH = 256 };

struct reactor {
    int listener;
    uint32_t how_listener, how_connection; // EPOLLET, EPOLLEXCLUSIVE, or neither
};

static void watch(int ep, int fd, uint32_t how)
{
    struct epoll_event ev = {.events = EPOLLIN | how, .data.fd = fd};
    if (CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)) < 0)
        close(fd);
}

/// The event loop.
static void *react(void *p)
{
    const struct reactor *r = p;
    struct epoll_event ready[BATCH];
    int ep = epoll_create1(0);
    watch(ep, r->listener, r->how_listener);
    for (;;) {
        int n = CALL(epoll_wait(ep, ready, BATCH, -1));
        atomic_fetch_add(&counts->waits, 1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == r->listener) {
                int peer = CALL(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
                if (peer >= 0)
                    watch(ep, peer, r->how_connection);
                continue;
            }
            ssize_t got = echo_once(fd);
            // The edge is told of once: read until nothing is left, or it never comes again.
            while (got > 0 && (r->how_connection & EPOLLET))
                got = echo_once(fd);
            if (got <= 0 && !nothing_there(got))
                CALL(close(fd)); // that takes it out of the epoll too
        }
    }
    return NULL;
}

void serve_epoll(int port, int reactors)
{
    struct reactor r = {listen_on(port, NONBLOCKING), 0, 0};
    (void)reactors;
    announce(port);
    react(&r);
}

void serve_epoll_et(int port, int reactors)
{
    struct reactor r = {listen_on(port, NONBLOCKING), 0, EPOLLET};
    (void)reactors;
    announce(port);
    react(&r);
}

/// Reactors 1… as threads, reactor 0 here. `shared`: the socket of all; -1: each has its own.
static void start(int port, int reactors, int shared, uint32_t how)
{
    struct reactor *r = calloc((size_t)reactors, sizeof *r);
    for (int i = 0; i < reactors; i++)
        r[i] = (struct reactor){shared >= 0 ? shared : listen_on(port, NONBLOCKING | PORT_SHARED),
                                how, 0};
    for (int i = 1; i < reactors; i++) {
        pthread_t thread;
        task_begins();
        if (pthread_create(&thread, NULL, react, &r[i]))
            abort();
    }
    announce(port);
    react(&r[0]);
}

void serve_reuseport(int port, int reactors)
{
    start(port, reactors, -1, 0);
}

void serve_shared(int port, int reactors)
{
    start(port, reactors, listen_on(port, NONBLOCKING), 0);
}

void serve_exclusive(int port, int reactors)
{
    start(port, reactors, listen_on(port, NONBLOCKING), EPOLLEXCLUSIVE);
}
