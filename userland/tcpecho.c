// SPDX-License-Identifier: MIT
// A TCP echo server (RFC 862) in every shape that a server can have. Usage: tcpecho SHAPE PORT [REACTORS]
//   fork        a process per connection        select, poll   one task; the kernel is asked about all connections each time
//   thread      a thread per connection         epoll, epoll-et  one task; the kernel says which are ready (level, edge)
//   reuseport   REACTORS epoll loops, each with a listening socket of its own on the same port
//   shared      REACTORS epoll loops that watch one listening socket: each is woken for each connection; exclusive: one is
// SIGTERM ends it, when all connections are closed, with a line of what it did: requests, tasks, system calls, returns from waiting, and
// the switches between tasks.
#include "tcpecho.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct counts *counts;

static const struct shape {
    const char *name;
    void (*serve)(int port, int reactors);
} shapes[] = {
    {"fork", serve_fork},           {"thread", serve_thread}, {"select", serve_select},
    {"poll", serve_poll},           {"epoll", serve_epoll},   {"epoll-et", serve_epoll_et},
    {"reuseport", serve_reuseport}, {"shared", serve_shared}, {"exclusive", serve_exclusive},
};

int listen_on(int port, int flags)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | (flags & NONBLOCKING ? SOCK_NONBLOCK : 0), 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (flags & PORT_SHARED)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 1024) < 0) {
        perror("tcpecho");
        exit(1);
    }
    return fd;
}

void announce(int port)
{
    printf("listening %d\n", port);
    fflush(stdout);
}

ssize_t echo_once(int fd)
{
    char buffer[4096];
    ssize_t n = CALL(read(fd, buffer, sizeof buffer));
    if (n <= 0)
        return n;
    atomic_fetch_add(&counts->requests, 1);
    // An answer that the peer does not take in time is cut: a real server would keep the rest.
    return CALL(send(fd, buffer, (size_t)n, MSG_NOSIGNAL));
}

int nothing_there(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void task_begins(void)
{
    long now = atomic_fetch_add(&counts->tasks_now, 1) + 1, most = atomic_load(&counts->tasks);
    while (now > most && !atomic_compare_exchange_weak(&counts->tasks, &most, now))
        ;
}

void task_ends(void)
{
    atomic_fetch_sub(&counts->tasks_now, 1);
}

/// SIGTERM: the counts, and the end. One write, so that the line stays whole.
static void report(int sig)
{
    struct rusage self, children;
    char line[256];
    (void)sig;
    while (wait(NULL) > 0 ||
           errno == EINTR) // the switches of a child count when it has been waited for
        ;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    int n =
        snprintf(line, sizeof line,
                 "served requests=%ld tasks=%ld calls=%ld waits=%ld voluntary=%ld preempted=%ld\n",
                 counts->requests, counts->tasks, counts->calls, counts->waits,
                 self.ru_nvcsw + children.ru_nvcsw, self.ru_nivcsw + children.ru_nivcsw);
    _exit(write(1, line, (size_t)n) != n);
}

int main(int argc, char **argv)
{
    int port = argc > 2 ? atoi(argv[2]) : 7, reactors = argc > 3 ? atoi(argv[3]) : 2;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (argc > 1 && !strcmp(argv[1], shapes[i].name)) {
            counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0);
            if (counts == MAP_FAILED)
                return 1;
            signal(SIGTERM, report);
            task_begins();
            shapes[i].serve(port, reactors);
        }
    fputs("usage: tcpecho fork|thread|select|poll|epoll|epoll-et|reuseport|shared|exclusive PORT "
          "[REACTORS]\n",
          stderr);
    return 2;
}
