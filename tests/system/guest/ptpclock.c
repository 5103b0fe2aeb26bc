// SPDX-License-Identifier: MIT
// Sets a NIC's clock (/dev/ptp0, Linux only) to 1,000,000 s and compares it with CLOCK_MONOTONIC over MILLISECONDS. Prints
// "set SECONDS clock NS monotonic NS": what it read at once, and what both clocks grew by. Usage: ptpclock MILLISECONDS
#include "guest_test.h"

static long long ns(clockid_t clock)
{
    struct timespec t = {0};
    if (clock_gettime(clock, &t) < 0) {
        perror("clock_gettime");
        exit(1);
    }
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct timespec start = {.tv_sec = 1000000};
    int fd = open("/dev/ptp0", O_RDWR);
    if (argc < 2 || fd < 0) {
        perror("/dev/ptp0");
        return 1;
    }
    clockid_t clock = (clockid_t)(~(unsigned)fd << 3 | 3); // Linux's FD_TO_CLOCKID
    if (clock_settime(clock, &start) < 0) {
        perror("clock_settime");
        return 1;
    }
    // The guest may be stopped between two readings: those of its own clock enclose the others.
    long long before = ns(CLOCK_MONOTONIC), first = ns(clock), from = ns(CLOCK_MONOTONIC);
    sleep_ms(atol(argv[1]));
    long long to = ns(CLOCK_MONOTONIC), last = ns(clock), after = ns(CLOCK_MONOTONIC);
    printf("set %lld clock %lld monotonic %lld to %lld\n", first / 1000000000LL, last - first,
           to - from, after - before);
    return 0;
}
