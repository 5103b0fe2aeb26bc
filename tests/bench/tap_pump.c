// SPDX-License-Identifier: MIT
// Carries frames between a TAP and a datagram socket (one frame a datagram) until the socket's other end is closed: what puts QEMU's
// socket backend on the host's network. Usage: tap_pump TAP_FD SOCKET_FD
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST = 65536, BURST = 64 };

static unsigned char frame[LONGEST];

static int retry(void)
{
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
}

/// Frames that wait on the TAP; stops when the socket takes no more, and the rest waits where it is.
static int outwards(int tap, int sock)
{
    for (int i = 0; i < BURST; i++) {
        ssize_t length = read(tap, frame, sizeof frame);
        if (length < 0)
            return retry();
        while (send(sock, frame, (size_t)length, 0) < 0) {
            struct pollfd room = {sock, POLLOUT, 0};
            if (!retry() || poll(&room, 1, -1) < 0)
                return 0;
        }
    }
    return 1;
}

/// The other way. A frame that the TAP refuses is lost, as on a wire.
static int inwards(int tap, int sock)
{
    for (int i = 0; i < BURST; i++) {
        ssize_t length = recv(sock, frame, sizeof frame, 0);
        if (length <= 0)
            return length < 0 && retry();
        if (write(tap, frame, (size_t)length) < 0 && !retry() && errno != EIO && errno != EINVAL)
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: tap_pump TAP_FD SOCKET_FD\n");
        return 2;
    }
    int tap = atoi(argv[1]), sock = atoi(argv[2]);
    if (fcntl(tap, F_SETFL, O_NONBLOCK) < 0 || fcntl(sock, F_SETFL, O_NONBLOCK) < 0) {
        perror("tap_pump");
        return 1;
    }
    struct pollfd both[2] = {{tap, POLLIN, 0}, {sock, POLLIN, 0}};
    while (poll(both, 2, -1) > 0 || errno == EINTR) {
        if ((both[0].revents && !outwards(tap, sock)) || (both[1].revents && !inwards(tap, sock)))
            break;
    }
    return 0;
}
