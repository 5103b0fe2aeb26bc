// SPDX-License-Identifier: MIT
// Makes COUNT sockets of a type, UDP ones bound to consecutive ports from PORT on (0: not bound), prints "open PID" and keeps
// them until it is killed. Usage: socks udp|tcp COUNT [PORT [ADDRESS]]
#include "guest_test.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    line_output();
    int type = strcmp(argv[1], "tcp") ? SOCK_DGRAM : SOCK_STREAM,
        port = argc > 3 ? atoi(argv[3]) : 0;
    for (int i = 0; i < atoi(argv[2]); i++) {
        int fd = socket(AF_INET, type, 0);
        struct sockaddr_in a = address_of(argc > 4 ? argv[4] : "0.0.0.0", port + i);
        if (fd < 0 || (port && bind(fd, (struct sockaddr *)&a, sizeof a) < 0)) {
            perror("socks");
            return 1;
        }
    }
    printf("open %d\n", getpid());
    for (;;)
        sleep_ms(100000);
}
