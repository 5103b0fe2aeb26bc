// SPDX-License-Identifier: MIT
// The echo server with a task per connection, asleep in read() of that one: a process (serve_fork) or a thread (serve_thread).
#include "tcpecho.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

/// Serve one connection to its end.
static void serve_connection(int fd)
{
    while (echo_once(fd) > 0)
        atomic_fetch_add(&counts->waits, 1);
    CALL(close(fd));
}

static int next_connection(int listener)
{
    int fd = CALL(accept(listener, NULL, NULL));
    atomic_fetch_add(&counts->waits, 1);
    return fd;
}

void serve_fork(int port, int reactors)
{
    int listener = listen_on(port, 0);
    (void)reactors;
    announce(port);
    for (;;) {
        int fd = next_connection(listener);
        while (CALL(waitpid(-1, NULL, WNOHANG)) > 0) // those that are done
            ;
        if (fd < 0)
            continue;
        if (CALL(fork()) == 0) {
            signal(SIGTERM, SIG_DFL);
            close(listener);
            task_begins();
            serve_connection(fd);
            task_ends();
            _exit(0);
        }
        CALL(close(fd));
    }
}

static void *connection_thread(void *fd)
{
    task_begins();
    serve_connection((int)(intptr_t)fd);
    task_ends();
    return NULL;
}

void serve_thread(int port, int reactors)
{
    int listener = listen_on(port, 0);
    (void)reactors;
    announce(port);
    for (;;) {
        pthread_t thread;
        int fd = next_connection(listener);
        if (fd < 0)
            continue;
        if (CALL(pthread_create(&thread, NULL, connection_thread, (void *)(intptr_t)fd)))
            close(fd);
        else
            pthread_detach(thread);
    }
}
