// SPDX-License-Identifier: MIT
// Binds and does not read until "go" arrives on a second port; then drains and prints "drained COUNT BYTES" and the sizes in
// order. Usage: udphold PORT GO_PORT [RCVBUF]
#include "guest_test.h"

int main(int argc, char **argv)
{
    static char data[65536];
    if (argc < 3)
        return 2;
    line_output();
    int fd = udp_socket("0.0.0.0", atoi(argv[1])), go = udp_socket("0.0.0.0", atoi(argv[2]));
    if (argc > 3) {
        int size = atoi(argv[3]);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    printf("holding %d\n", getpid());
    for (;;) {
        recv(go, data, sizeof data, 0);
        long count = 0, bytes = 0;
        ssize_t n;
        while ((n = recv(fd, data, sizeof data, MSG_DONTWAIT)) >= 0) {
            count++;
            bytes += n;
        }
        printf("drained %ld %ld errno %d\n", count, bytes, errno);
    }
}
