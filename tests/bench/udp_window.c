// SPDX-License-Identifier: MIT
// UDP echo client with N datagrams under way; prints "ECHOES LOST SECONDS INSTRUCTIONS" where INSTRUCTIONS is what the counter
// file (insn_counter.c; "-": none) grew by meanwhile. Usage: udp_window ADDRESS PORT WINDOW SECONDS SIZE COUNTER_FILE
#include "counted.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { MAX_SIZE = 65507, LOST_AFTER_US = 500000 };

/// A socket that hears only the server.
static int connect_to(const char *ip, int port)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    struct timeval patience = {0, LOST_AFTER_US};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (!inet_aton(ip, &server.sin_addr) || fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, (struct sockaddr *)&server, sizeof server) < 0) {
        perror(ip);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static char data[MAX_SIZE];
    if (argc != 7) {
        fputs("usage: udp_window ADDRESS PORT WINDOW SECONDS SIZE COUNTER_FILE|-\n", stderr);
        return 2;
    }
    int fd = connect_to(argv[1], atoi(argv[2])), window = atoi(argv[3]), under_way = 0;
    double seconds = atof(argv[4]);
    size_t size = (size_t)atoi(argv[5]) % (MAX_SIZE + 1);
    const volatile uint64_t *counter = map_counter(argv[6]);
    long echoes = 0, lost = 0;
    uint64_t instructions = count(counter);
    double begin = now(), end = begin + seconds;
    while (now() < end) {
        for (; under_way < window; under_way++)
            send(fd, data, size, 0);
        if (recv(fd, data, sizeof data, 0) >= 0) {
            echoes++;
            under_way--;
        } else if (errno == EAGAIN) {
            lost += under_way;
            under_way = 0;
        }
    }
    double taken = now() - begin;
    for (; under_way > 0 && recv(fd, data, sizeof data, 0) >= 0; under_way--)
        echoes++;
    instructions = count(counter) - instructions;
    printf("%ld %ld %.6f %llu\n", echoes, lost + under_way, taken,
           (unsigned long long)instructions);
    return 0;
}
