// SPDX-License-Identifier: MIT
// What the shapes of the TCP echo server share: the listening socket, one step of the echo, and the counts that are printed at the end.
// A shape is a function that serves a port for ever; they differ in nothing but how they wait.
#pragma once
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/// What all tasks of the server have done so far; in memory that children share.
struct counts {
    atomic_long requests; // reads that brought bytes, each answered
    atomic_long calls;    // system calls of the shape
    atomic_long waits;    // returns of the call that it waits in
    atomic_long tasks;    // that were there at the same time, at most
    atomic_long tasks_now;
};
extern struct counts *counts;

/// A system call, counted.
#define CALL(x) (atomic_fetch_add(&counts->calls, 1), (x))

enum { PORT_SHARED = 1, NONBLOCKING = 2 };
/// A socket that listens on `port`. PORT_SHARED: others may too (SO_REUSEPORT).
int listen_on(int port, int flags);
/// Tell whoever started it that it is ready.
void announce(int port);
/// Read what is there and send it back: bytes, 0: the peer is done, -1: nothing there now (errno EAGAIN) or the connection has failed.
ssize_t echo_once(int fd);
/// Whether the last echo_once() only found nothing to read.
int nothing_there(ssize_t n);
void task_begins(void);
void task_ends(void);

/// The shapes. `reactors`: tasks that each have an event loop, where there is more than one.
void serve_fork(int port, int reactors);
void serve_thread(int port, int reactors);
void serve_select(int port, int reactors);
void serve_poll(int port, int reactors);
void serve_epoll(int port, int reactors);
void serve_epoll_et(int port, int reactors);
void serve_reuseport(int port, int reactors);
void serve_shared(int port, int reactors);
void serve_exclusive(int port, int reactors);
