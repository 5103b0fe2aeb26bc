// SPDX-License-Identifier: MIT
// Receives COUNT datagrams and prints "data INDEX TEXT" for each. Usage: recvseq PORT COUNT [RCVBUF]
#include "guest_test.h"

int main(int argc, char **argv)
{
    char data[2048];
    if (argc < 3)
        return 2;
    line_output();
    int fd = udp_socket("0.0.0.0", atoi(argv[1]));
    printf("receiving %d\n", getpid());
    for (int i = 0; i < atoi(argv[2]); i++) {
        ssize_t n = recv(fd, data, sizeof data - 1, 0);
        data[n > 0 ? n : 0] = 0;
        printf("data %d %s\n", i, data);
    }
    puts("received all");
    return 0;
}
