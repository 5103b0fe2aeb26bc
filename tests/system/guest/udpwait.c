// SPDX-License-Identifier: MIT
// N tasks asleep in recvfrom on one UDP socket. Each prints "got PID BYTES" for every datagram. Usage: udpwait PORT N
#include "guest_test.h"

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 5000, count = argc > 2 ? atoi(argv[2]) : 1;
    char data[2048];
    line_output();
    int fd = udp_socket("0.0.0.0", port);
    for (int i = 1; i < count; i++)
        if (fork() == 0)
            break;
    printf("waiting %d\n", getpid());
    for (;;) {
        ssize_t n = recvfrom(fd, data, sizeof data, 0, NULL, NULL);
        printf("got %d %zd\n", getpid(), n);
    }
}
