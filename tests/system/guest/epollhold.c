// SPDX-License-Identifier: MIT
// An epoll that is built step by step, so that its insides can be looked at after each: a step is taken at each SIGUSR1.
// Usage: epollhold PORT COUNT. Prints after each step
//   created FD         a new epoll
//   now 0              epoll_wait without time has found nothing
//   sockets A B        a UDP socket on PORT (descriptor A, level) and one on PORT + 1 (B, edge) are registered
//   registered COUNT   and COUNT eventfds
//   got 3              three of them became ready: one epoll_wait
//   shuffled ITEMS     10,000 times one of the eventfds was taken out or put back at random
//   waiting PID        (before it) the thread sleeps in epoll_wait for ever
#include "guest_test.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static sigset_t step;

static void next_step(void)
{
    int sig;
    sigwait(&step, &sig);
}

static void add(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        perror("ADD");
}

int main(int argc, char **argv)
{
    struct epoll_event got[64];
    int port = argc > 1 ? atoi(argv[1]) : 5000, count = argc > 2 ? atoi(argv[2]) : 10;
    struct rlimit many = {(rlim_t)count + 64, (rlim_t)count + 64};
    int *fds = calloc((size_t)count, sizeof *fds);
    char *in = calloc((size_t)count, 1);
    line_output();
    sigemptyset(&step);
    sigaddset(&step, SIGUSR1);
    sigprocmask(SIG_BLOCK, &step, NULL);
    if (setrlimit(RLIMIT_NOFILE, &many) < 0)
        perror("setrlimit");

    int ep = epoll_create1(0);
    printf("created %d\n", ep);
    next_step();
    printf("now %d\n", epoll_wait(ep, got, 64, 0));
    next_step();
    int a = udp_socket("0.0.0.0", port), b = udp_socket("0.0.0.0", port + 1);
    add(ep, a, EPOLLIN);
    add(ep, b, EPOLLIN | EPOLLET);
    printf("sockets %d %d\n", a, b);
    next_step();
    for (int i = 0; i < count; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        add(ep, fds[i], EPOLLIN);
        in[i] = 1;
    }
    printf("registered %d\n", count);
    next_step();
    for (int i = 0; i < 3; i++)
        eventfd_write(fds[(long)count * i / 3], 1);
    printf("got %d\n", epoll_wait(ep, got, 64, -1));
    next_step();
    int items = count + 2;
    srand(1);
    for (int n = 0; n < 10000; n++) {
        int i = rand() % count;
        if (in[i])
            epoll_ctl(ep, EPOLL_CTL_DEL, fds[i], NULL);
        else
            add(ep, fds[i], EPOLLIN | EPOLLET);
        items += in[i] ? -1 : 1;
        in[i] = !in[i];
    }
    printf("shuffled %d\n", items);
    next_step();
    for (int i = 0; i < count; i++) // those that are ready must not end the last wait
        close(fds[i]);
    printf("waiting %d\n", getpid());
    epoll_wait(ep, got, 64, -1);
    printf("done\n");
    return 0;
}
