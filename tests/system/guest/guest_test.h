// SPDX-License-Identifier: MIT
// What the guest's test programs share. Each prints whole lines, so that output of several processes does not mix.
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// Lines reach the console whole, whatever stdout is.
static inline void line_output(void)
{
    setvbuf(stdout, NULL, _IOLBF, 4096);
}

static inline struct sockaddr_in address_of(const char *ip, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    inet_aton(ip, &a.sin_addr);
    return a;
}

/// A UDP socket bound to ip:port (port 0: any), or the end of the program.
static inline int udp_socket(const char *ip, int port)
{
    struct sockaddr_in a = address_of(ip, port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("socket");
        exit(1);
    }
    return fd;
}

static inline int port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &length) < 0)
        return -1;
    return ntohs(a.sin_port);
}

static inline void set_timeout(int fd, long ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/// What must happen has so many milliseconds to do so.
enum { PATIENCE_MS = 60000 };

/// Look at a condition again and again, until it holds or has had its time.
#define WAIT_FOR(condition)                                                       \
    for (double end_ = now() + PATIENCE_MS / 1000; !(condition) && now() < end_;) \
    sleep_ms(5)

/// Start SIGALRM every `ms` (0: stop). Repeated, as the first may come before the call that it is to interrupt.
static inline void alarm_every_ms(long ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    struct itimerval it = {tv, tv};
    setitimer(ITIMER_REAL, &it, NULL);
}

/// Wait until a process sleeps in a system call. It must not be this one.
static inline void wait_until_asleep(pid_t pid)
{
    char path[32], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int tries = 0; tries < 30000; tries++) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
        if (fd >= 0)
            close(fd);
        line[n > 0 ? n : 0] = 0;
        if (n <= 0 || strstr(line, ") S"))
            return;
        sleep_ms(1);
    }
}

/// Wait for a child: its exit status, or 1000 and the signal that ended it.
static inline int exit_of(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// The failed checks of a program that judges by itself.
static int failures;

/// One line "ok NAME" or "FAIL NAME: …".
static inline void check(const char *name, int good, const char *detail)
{
    if (good)
        printf("ok %s\n", name);
    else
        printf("FAIL %s: %s\n", name, detail ? detail : strerror(errno));
    failures += !good;
}

/// A call must fail with this errno.
static inline void check_errno(const char *name, long result, int wanted)
{
    char text[96];
    snprintf(text, sizeof text, "result %ld, errno %d, wanted errno %d", result,
             result < 0 ? errno : 0, wanted);
    check(name, result < 0 && errno == wanted, text);
}

/// A call must return this.
static inline void check_value(const char *name, long result, long wanted)
{
    char text[96];
    snprintf(text, sizeof text, "result %ld, errno %d, wanted %ld", result, result < 0 ? errno : 0,
             wanted);
    check(name, result == wanted, text);
}

#endif
