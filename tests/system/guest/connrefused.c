// SPDX-License-Identifier: MIT
// A connected UDP socket learns that nobody listens at the peer (row U-02). Usage: connrefused ADDRESS PORT
#include "guest_test.h"
#include <poll.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    line_output();
    struct sockaddr_in peer = address_of(argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char byte;
    connect(fd, (struct sockaddr *)&peer, sizeof peer);
    set_timeout(fd, PATIENCE_MS);
    check_value("send", send(fd, "x", 1, 0), 1);
    check_errno("blocked recv is refused", recv(fd, &byte, 1, 0), ECONNREFUSED);
    check_errno("the error is told once", recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    send(fd, "x", 1, 0);
    struct pollfd p = {fd, POLLIN, 0};
    check_value("poll tells", poll(&p, 1, PATIENCE_MS), 1);
    check("POLLERR", p.revents & POLLERR, "not set");
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    check_value("SO_ERROR", error, ECONNREFUSED);
    // Not connected: no error is told.
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(other, "x", 1, 0, (struct sockaddr *)&peer, sizeof peer);
    sleep_ms(500);
    check_errno("unconnected socket hears nothing", recv(other, &byte, 1, MSG_DONTWAIT), EAGAIN);
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}
