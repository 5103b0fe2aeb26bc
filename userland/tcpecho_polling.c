// SPDX-License-Identifier: MIT
// The echo server of one task that hands all its connections to the kernel each time that it waits: by select or by poll. Both look at every
// one of them, the kernel before it sleeps and after, the server when it returns.
#include "tcpecho.h"
#include <poll.h>
#include <sys/select.h>

void serve_select(int port, int reactors)
{
    int listener = listen_on(port, NONBLOCKING), highest = listener;
    fd_set watched, ready;
    (void)reactors;
    FD_ZERO(&watched);
    FD_SET(listener, &watched);
    announce(port);
    for (;;) {
        ready = watched; // select writes its answer over the question
        int n = CALL(select(highest + 1, &ready, NULL, NULL, NULL));
        atomic_fetch_add(&counts->waits, 1);
        for (int fd = 0; n > 0 && fd <= highest; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            n--;
            if (fd == listener) {
                int peer = CALL(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
                if (peer >= FD_SETSIZE) // no bit for it: the limit of select
                    close(peer);
                else if (peer >= 0)
                    FD_SET(peer, &watched), highest = peer > highest ? peer : highest;
                continue;
            }
            ssize_t got = echo_once(fd);
            if (got <= 0 && !nothing_there(got)) {
                CALL(close(fd));
                FD_CLR(fd, &watched);
            }
        }
    }
}

void serve_poll(int port, int reactors)
{
    enum { MOST = 4096 };
    static struct pollfd watched[MOST];
    int count = 1, listener = listen_on(port, NONBLOCKING);
    (void)reactors;
    watched[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    announce(port);
    for (;;) {
        int n = CALL(poll(watched, (nfds_t)count, -1));
        atomic_fetch_add(&counts->waits, 1);
        for (int i = count - 1; n > 0 && i > 0;
             i--) { // backwards: the last takes the place of one that ends
            if (!watched[i].revents)
                continue;
            n--;
            ssize_t got = echo_once(watched[i].fd);
            if (got <= 0 && !nothing_there(got)) {
                CALL(close(watched[i].fd));
                watched[i] = watched[--count];
            }
        }
        if (watched[0].revents) {
            int peer = CALL(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
            if (count == MOST)
                close(peer);
            else if (peer >= 0)
                watched[count++] = (struct pollfd){.fd = peer, .events = POLLIN};
        }
    }
}
