// SPDX-License-Identifier: MIT
// TCP_INFO over a whole connection on loopback: what a listener, both ends and a closing connection report, as far as it is the same
// on every Linux and does not depend on time or memory. A machine that stands still for a while makes TCP's timers expire: a connection
// with retransmissions is given up, and another one is shown.
#include "guest_test.h"

#include <netinet/tcp.h>
#include <poll.h>

static struct tcp_info info_of(int fd)
{
    struct tcp_info i = {0};
    socklen_t length = sizeof i;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &length) < 0)
        perror("TCP_INFO");
    return i;
}

static FILE *report;
static unsigned retransmissions;

static void show(const char *what, int fd)
{
    struct tcp_info i = info_of(fd);
    retransmissions += i.tcpi_total_retrans;
    fprintf(report,
            "%s: state %d ca_state %d retransmits %d probes %d backoff %d options %d unacked %u "
            "sacked %u lost %u retrans %u\n",
            what, i.tcpi_state, i.tcpi_ca_state, i.tcpi_retransmits, i.tcpi_probes, i.tcpi_backoff,
            i.tcpi_options, i.tcpi_unacked, i.tcpi_sacked, i.tcpi_lost, i.tcpi_retrans);
    if (i.tcpi_state != TCP_LISTEN)
        fprintf(report,
                "  advmss %u ssthresh %u reordering %u total_retrans %u scaled %d timed %d\n",
                i.tcpi_advmss, i.tcpi_snd_ssthresh, i.tcpi_reordering, i.tcpi_total_retrans,
                i.tcpi_snd_wscale > 0 && i.tcpi_rcv_wscale > 0,
                i.tcpi_rto >= 200000 && i.tcpi_rto < 120000000);
}

/// Until the end has that state and everything it sent is acknowledged.
static void settle(int fd, int state)
{
    for (;;) {
        struct tcp_info i = info_of(fd);
        if (i.tcpi_state == state && i.tcpi_unacked == 0)
            return;
        poll(NULL, 0, 5);
    }
}

/// 100 bytes from one end to the other, acknowledged at once: a delayed ACK may come after the retransmission on a busy machine.
static void pass(int from, int to)
{
    char bytes[100] = {0};
    int on = 1;
    if (write(from, bytes, sizeof bytes) != sizeof bytes ||
        recv(to, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes ||
        setsockopt(to, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on) < 0)
        perror("pass");
}

/// From the first socket to a half closed connection. Connections end with a reset: nothing of them stays.
static void connection(void)
{
    struct linger reset = {1, 0};
    struct sockaddr_in a = address_of("127.0.0.1", 0);
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof a;
    show("closed", c);
    if (bind(l, (struct sockaddr *)&a, sizeof a) < 0 || listen(l, 5) < 0 ||
        getsockname(l, (struct sockaddr *)&a, &length) < 0)
        perror("listen");
    show("listening", l);
    if (connect(c, (struct sockaddr *)&a, sizeof a) < 0)
        perror("connect");
    while (info_of(l).tcpi_unacked != 1)
        poll(NULL, 0, 5);
    show("one to accept", l);
    int s = accept(l, NULL, NULL);
    show("accepted", l);
    show("client", c);
    show("server", s);
    fprintf(report, "initial windows: %u %u\n", info_of(c).tcpi_snd_cwnd, info_of(s).tcpi_snd_cwnd);
    for (int i = 0; i < 3; i++) {
        pass(c, s);
        pass(s, c);
    }
    settle(c, TCP_ESTABLISHED);
    settle(s, TCP_ESTABLISHED);
    show("client, after data", c);
    show("server, after data", s);
    shutdown(c, SHUT_WR);
    settle(c, TCP_FIN_WAIT2);
    settle(s, TCP_CLOSE_WAIT);
    show("client, half closed", c);
    show("server, half closed", s);
    pass(s, c);
    settle(s, TCP_CLOSE_WAIT);
    show("server, still sending", s);
    struct tcp_info small;
    length = 6; // a shorter buffer gets the beginning
    int result = getsockopt(s, IPPROTO_TCP, TCP_INFO, &small, &length);
    fprintf(report, "short: %d %u bytes, options %d\n", result, length, small.tcpi_options);
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(s);
    close(c);
    close(l);
}

int main(void)
{
    enum { TRIES = 20 };
    for (int i = 1; i <= TRIES; i++) {
        char *text;
        size_t size;
        report = open_memstream(&text, &size);
        retransmissions = 0;
        connection();
        fclose(report);
        if (!retransmissions || i == TRIES)
            fputs(text, stdout);
        free(text);
        if (!retransmissions)
            return 0;
    }
    return 1;
}
