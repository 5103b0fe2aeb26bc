// SPDX-License-Identifier: MIT
// Hands COUNT sends of TOTAL bytes each to UDP, to be cut into datagrams of SEGMENT bytes by whoever does that (UDP_SEGMENT, Linux
// 4.18). Every send's bytes are (its number + position) mod 251. Prints "sent COUNT errors N last ERRNO".
// Usage: udpgso ADDRESS PORT SEGMENT TOTAL COUNT
#include "guest_test.h"

enum { UDP_SEGMENT_OPTION = 103 };

int main(int argc, char **argv)
{
    static unsigned char data[65536];
    if (argc < 6)
        return 2;
    line_output();
    struct sockaddr_in peer = address_of(argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0), errors = 0, last = 0, count = atoi(argv[5]);
    int segment = atoi(argv[3]);
    size_t total = (size_t)atoi(argv[4]);
    if (total > sizeof data ||
        setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT_OPTION, &segment, sizeof segment) < 0) {
        perror("UDP_SEGMENT");
        return 1;
    }
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < total; at++)
            data[at] = (unsigned char)(((size_t)i + at) % 251);
        if (sendto(fd, data, total, 0, (struct sockaddr *)&peer, sizeof peer) < 0) {
            errors++;
            last = errno;
        }
        sleep_ms(1);
    }
    printf("sent %d errors %d last %d\n", count, errors, last);
    return 0;
}
