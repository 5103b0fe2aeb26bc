// SPDX-License-Identifier: MIT
// N threads asleep on one thing, to count whom an arrival wakes (row W-13). Usage: sleepers accept|epoll|recv PORT N
// accept: all in accept() on the listening socket; epoll: all in epoll_wait() on one epoll that watches it; recv: all in recv() on the first
// connection. Each prints "thread TID" before it sleeps, and "woken TID" when it returns; then it does nothing more.
#include "guest_test.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static int fd;
static char mode;

static void *sleeper(void *unused)
{
    struct epoll_event ev;
    char byte;
    long tid = syscall(SYS_gettid);
    (void)unused;
    printf("thread %ld\n", tid);
    if (mode == 'a')
        accept(fd, NULL, NULL);
    else if (mode == 'e')
        epoll_wait(fd, &ev, 1, -1);
    else
        recv(fd, &byte, 1, 0);
    printf("woken %ld\n", tid);
    for (;;)
        pause();
    return NULL;
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 4)
        return 2;
    struct sockaddr_in here = address_of("0.0.0.0", atoi(argv[2]));
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 16) < 0) {
        perror("sleepers");
        return 1;
    }
    printf("listening %s\n", argv[2]);
    mode = *argv[1];
    fd = listener;
    if (mode == 'e') {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
        fd = epoll_create1(0);
        epoll_ctl(fd, EPOLL_CTL_ADD, listener, &ev);
    } else if (mode == 'r') {
        fd = accept(listener, NULL, NULL);
    }
    for (int i = atoi(argv[3]); i > 0; i--) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleeper, NULL);
    }
    for (;;)
        pause();
}
