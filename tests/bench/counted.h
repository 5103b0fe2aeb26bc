// SPDX-License-Identifier: MIT
// What the clients of tests/bench share: the time, and the guest's instruction count in the file that insn_counter.c keeps.
#ifndef COUNTED_H
#define COUNTED_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { COUNTER_SETTLE_US = 15000 }; // the plugin refreshes the file every 5 ms

/// Seconds of a clock that only goes on.
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/// The counter file; NULL if there is none ("-").
static inline const volatile uint64_t *map_counter(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return NULL;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : (const volatile uint64_t *)map;
}

/// Instructions so far, when the file shows all of them; 0 without a file.
static inline uint64_t count(const volatile uint64_t *counter)
{
    if (!counter)
        return 0;
    usleep(COUNTER_SETTLE_US);
    return counter[0];
}

#endif
