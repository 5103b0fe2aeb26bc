// SPDX-License-Identifier: MIT
// SO_REUSEPORT from a program's side, TCP and UDP: who may share a port, how arrivals are spread, that a flow stays with its socket, and
// that an arrival makes one socket ready only. Says the same on Linux. Rows.
#include "guest_test.h"
#include <poll.h>

enum { GROUP = 4, ARRIVALS = 1000, FEWEST = 150, MOST = 350, SAME = 20 };

static int open_on(int type, int port, int reuse, const char *ip)
{
    struct sockaddr_in a = address_of(ip, port);
    int fd = socket(AF_INET, type, 0);
    if (reuse)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuse, sizeof reuse);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
        (type == SOCK_DGRAM || listen(fd, 512) == 0))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/// What another user gets: 0 or errno.
static int as_user(int uid, int type, int port)
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        if (setuid((uid_t)uid))
            _exit(99);
        _exit(open_on(type, port, 1, "127.0.0.1") < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void who_may_share(const char *name, int type, int port)
{
    char text[64];
    int value = -1;
    socklen_t n = sizeof value;
    printf("-- %s: who may share\n", name);
    int first = open_on(type, port, 1, "127.0.0.1"), second = open_on(type, port, 1, "127.0.0.1");
    check("two with the option", first >= 0 && second >= 0, NULL);
    getsockopt(first, SOL_SOCKET, SO_REUSEPORT, &value, &n);
    check_value("it is read back", value, 1);
    check_errno("one without", open_on(type, port, 0, "127.0.0.1"), EADDRINUSE);
    check_value("another user", as_user(1234, type, port), EADDRINUSE);
    check("another address", open_on(type, port, 0, "127.0.0.2") >= 0, NULL);
    close(first);
    close(second);
    int plain = open_on(type, port + 1, 0, "127.0.0.1");
    snprintf(text, sizeof text, "after one without (%d)", plain >= 0);
    check_errno(text, open_on(type, port + 1, 1, "127.0.0.1"), EADDRINUSE);
    close(plain);
}

/// The index of the only ready socket of the group; -1: none, -2: several.
static int ready_one(const int *group, int n)
{
    struct pollfd p[GROUP];
    int found = -1;
    for (int i = 0; i < n; i++)
        p[i] = (struct pollfd){group[i], POLLIN, 0};
    poll(p, (nfds_t)n, PATIENCE_MS);
    for (int i = 0; i < n; i++)
        if (p[i].revents)
            found = found == -1 ? i : -2;
    return found;
}

/// One arrival from `source` (0: any port): which of the group it reached.
static int arrive(int type, int port, const int *group, int n, int source)
{
    struct sockaddr_in a = address_of("127.0.0.1", port), me = address_of("127.0.0.1", source);
    struct linger reset = {1, 0};
    char byte = 'x';
    int on = 1, fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if ((source && bind(fd, (struct sockaddr *)&me, sizeof me)) ||
        connect(fd, (struct sockaddr *)&a, sizeof a) || send(fd, &byte, 1, 0) != 1)
        perror("arrive");
    int at = ready_one(group, n);
    if (at >= 0 && type == SOCK_DGRAM)
        recv(group[at], &byte, 1, 0);
    int accepted = at >= 0 && type == SOCK_STREAM ? accept(group[at], NULL, NULL) : -1;
    if (type == SOCK_STREAM) // no TIME_WAIT: the same ports are used again
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    while (accepted >= 0 && recv(accepted, &byte, 1, 0) > 0)
        ; // until the reset is there: the other end is gone, too
    close(accepted);
    return at;
}

static void how_they_are_spread(const char *name, int type, int port)
{
    int group[GROUP], hits[GROUP] = {0}, several = 0;
    printf("-- %s: how arrivals are spread\n", name);
    for (int i = 0; i < GROUP; i++)
        group[i] = open_on(type, port, 1, "127.0.0.1");
    for (int i = 0; i < ARRIVALS; i++) {
        int at = arrive(type, port, group, GROUP, 0);
        if (at < 0)
            several++;
        else
            hits[at]++;
    }
    check_value("arrivals that made none or several ready", several, 0);
    for (int i = 0; i < GROUP; i++) {
        char text[64];
        snprintf(text, sizeof text, "socket %d got %d of %d", i, hits[i], ARRIVALS);
        check("about a quarter each", hits[i] >= FEWEST && hits[i] <= MOST, text);
    }
    for (int flow = 0; flow < 4; flow++) {
        int first = arrive(type, port, group, GROUP, 20000 + flow), moved = 0;
        for (int i = 0; i < SAME; i++)
            moved += arrive(type, port, group, GROUP, 20000 + flow) != first;
        check_value("a flow that left its socket", moved, 0);
    }
    close(group[GROUP - 1]); // one leaves the group: the others get what comes
    int lost = 0;
    for (int i = 0; i < 50; i++)
        lost += arrive(type, port, group, GROUP - 1, 0) < 0;
    check_value("lost after one has left", lost, 0);
    for (int i = 0; i < GROUP - 1; i++)
        close(group[i]);
}

int main(void)
{
    line_output();
    who_may_share("TCP", SOCK_STREAM, 6400);
    who_may_share("UDP", SOCK_DGRAM, 6410);
    how_they_are_spread("TCP", SOCK_STREAM, 6420);
    how_they_are_spread("UDP", SOCK_DGRAM, 6430);
    puts(failures ? "some failed" : "all ok");
    return failures != 0;
}
