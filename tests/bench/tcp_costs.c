// SPDX-License-Identifier: MIT
// What sockets cost on loopback, as /init of a guest: under -icount one nanosecond of the guest's clock is one instruction, so the
// clock reads instructions. Prints "cost NAME FIGURE" lines and "done", then powers off. Both kernels run the same bytes.
// One task does both ends, so nothing sleeps and no switch is counted.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 2000, CONNECTIONS = 400, BULK = 8 << 20, CHUNK = 16384 };

static void fail(const char *what)
{
    printf("failed: %s\n", what);
    fflush(stdout);
    reboot(RB_POWER_OFF);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct sockaddr_in lo(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void raise_lo(void)
{
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(r.ifr_name, "lo");
    struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
    *a = lo(0);
    ioctl(fd, SIOCSIFADDR, &r);
    r.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        fail("lo");
    close(fd);
}

static int bound(int type, int port)
{
    struct sockaddr_in a = lo(port);
    int one = 1, fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        fail("bind");
    return fd;
}

static void connect_to(int fd, int port)
{
    struct sockaddr_in a = lo(port);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        fail("connect");
}

/// A question of 64 bytes and its answer: four system calls.
static double round_trips(int a, int b, int rounds)
{
    char buf[64] = "?";
    double begin = now();
    for (int i = 0; i < rounds; i++)
        if (send(a, buf, 64, 0) != 64 || recv(b, buf, 64, 0) != 64 || send(b, buf, 64, 0) != 64 ||
            recv(a, buf, 64, 0) != 64)
            fail("round trip");
    return (now() - begin) / rounds;
}

static void pair(int listener, int port, int fd[2])
{
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect_to(fd[0], port);
    fd[1] = accept(listener, NULL, NULL);
    if (fd[1] < 0)
        fail("accept");
}

/// Bytes in use in all slab caches.
static double slab_bytes(void)
{
    static char line[512];
    FILE *f = fopen("/proc/slabinfo", "r");
    double sum = 0;
    if (!f)
        fail("slabinfo");
    while (fgets(line, sizeof line, f)) {
        char name[64];
        double active, all, size;
        if (sscanf(line, "%63s %lf %lf %lf", name, &active, &all, &size) == 4)
            sum += active * size;
    }
    fclose(f);
    return sum;
}

static void measure_memory(int listener, int port)
{
    static int fd[CONNECTIONS][2];
    double before = slab_bytes();
    for (int i = 0; i < CONNECTIONS; i++)
        pair(listener, port, fd[i]);
    double open = slab_bytes();
    printf("cost bytes of slab, established pair %.0f\n", (open - before) / CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i][0]);
    sleep(1);
    double half = slab_bytes();
    printf("cost bytes of slab, FIN_WAIT2 and CLOSE_WAIT %.0f\n", (half - before) / CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fd[i][1]);
    sleep(1);
    printf("cost bytes of slab, TIME_WAIT %.0f\n", (slab_bytes() - before) / CONNECTIONS);
}

static void measure_bulk(int listener, int port)
{
    static char buf[CHUNK];
    int fd[2], one = 1;
    pair(listener, port, fd);
    setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // no wait for a delayed ACK
    double begin = now();
    for (long left = BULK; left > 0; left -= CHUNK) {
        if (send(fd[0], buf, CHUNK, 0) != CHUNK)
            fail("send");
        for (long got = 0; got < CHUNK;) {
            ssize_t n = recv(fd[1], buf, CHUNK, 0);
            if (n <= 0)
                fail("recv");
            got += n;
        }
    }
    printf("cost TCP, one MByte sent and received %.0f\n", (now() - begin) / (BULK >> 20));
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    struct rlimit many = {4096, 4096};
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    setrlimit(RLIMIT_NOFILE, &many);
    raise_lo();
    int a = bound(SOCK_DGRAM, 5001), b = bound(SOCK_DGRAM, 5002);
    connect_to(a, 5002);
    connect_to(b, 5001);
    round_trips(a, b, 100);
    printf("cost UDP round trip %.0f\n", round_trips(a, b, ROUNDS));
    int l = bound(SOCK_STREAM, 5003), fd[2];
    if (listen(l, 128) < 0)
        fail("listen");
    pair(l, 5003, fd);
    int one = 1;
    setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    round_trips(fd[0], fd[1], 100);
    printf("cost TCP round trip %.0f\n", round_trips(fd[0], fd[1], ROUNDS));
    close(fd[0]);
    close(fd[1]);
    for (int warm = 1; warm >= 0; warm--) {
        int rounds = warm ? 50 : ROUNDS / 2;
        double begin = now();
        for (int i = 0; i < rounds; i++) {
            pair(l, 5003, fd);
            close(fd[0]);
            close(fd[1]);
        }
        if (!warm)
            printf("cost TCP connect, accept, close %.0f\n", (now() - begin) / rounds);
    }
    measure_bulk(l, 5003);
    measure_memory(l, 5003);
    printf("done\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
}
