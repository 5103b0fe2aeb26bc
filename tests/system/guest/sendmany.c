// SPDX-License-Identifier: MIT
// Sends COUNT datagrams of SIZE bytes without waiting, then prints "sent COUNT errors N last ERRNO".
// Usage: sendmany ADDRESS PORT COUNT SIZE [GAP_MS]
#include "guest_test.h"

int main(int argc, char **argv)
{
    static char data[65536];
    if (argc < 5)
        return 2;
    line_output();
    struct sockaddr_in peer = address_of(argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0), errors = 0, last = 0, count = atoi(argv[3]);
    size_t size = (size_t)atoi(argv[4]);
    long gap = argc > 5 ? atol(argv[5]) : 0;
    for (int i = 0; i < count; i++) {
        memcpy(data, &i, sizeof i);
        if (sendto(fd, data, size, 0, (struct sockaddr *)&peer, sizeof peer) < 0) {
            errors++;
            last = errno;
        }
        if (gap)
            sleep_ms(gap);
    }
    printf("sent %d errors %d last %d\n", count, errors, last);
    return 0;
}
