// SPDX-License-Identifier: MIT
// The calls that end in recvmsg (row R-26), one datagram each: prints "read HEX", "recv HEX", "recvfrom HEX", "recvmsg HEX",
// "readv HEX". Usage: recvways PORT
#include "guest_test.h"

static void show(const char *name, const char *data, ssize_t n)
{
    printf("%s ", name);
    for (ssize_t i = 0; i < n; i++)
        printf("%02x", (unsigned char)data[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    char data[2048];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    line_output();
    int fd = udp_socket("0.0.0.0", argc > 1 ? atoi(argv[1]) : 5000);
    puts("ready");
    show("read", data, read(fd, data, sizeof data));
    show("recv", data, recv(fd, data, sizeof data, 0));
    show("recvfrom", data, recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&peer, &length));
    struct iovec pieces[2] = {{data, 3}, {data + 3, sizeof data - 3}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    show("recvmsg", data, recvmsg(fd, &message, 0));
    show("readv", data, readv(fd, pieces, 2));
    return 0;
}
