// SPDX-License-Identifier: MIT
// What the parts of the system-call fuzzer share. One worker process is built anew for each round: everything here is its
// own memory (after the fork), except `progress`, through which the parent sees whether the worker still moves.
#ifndef SYSFUZZ_H
#define SYSFUZZ_H

#include "guest_test.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    THREADS = 3,
    ARENA_PAGES = 64, // memory that calls may map, unmap and write to
    PAGE = 4096,
    MAX_FDS = 96,
    TICK_US = 2000,    // how often the parent looks
    STUCK_LOOKS = 100, // looks without progress after which a worker is killed
};

/// Shared with the parent.
struct progress {
    volatile pid_t tid[THREADS];
    volatile unsigned calls[THREADS];
    volatile unsigned ready;
};

/// One thread's source of choices.
struct source {
    uint64_t state;
    unsigned thread;
    unsigned char stage[4096]; // structures for one call
    size_t staged;
};

struct world {
    struct progress *progress;
    unsigned char *arena;
    int fd[MAX_FDS];
    int fds;
    bool privileged; // the worker is root without the rights to end the run
    bool verbose;
    uint16_t port; // of its TCP listener
};
extern struct world world;

/// A call and the kinds of its arguments: f descriptor, D directory, p pointer, z size, s path, a socket address, l its length, v iovec,
/// n number of them, m msghdr, M mmsghdr, g signal, d process, x anything, t time, e epoll_event, k futex, b page, B bytes
/// of pages, o ioctl, O fcntl, L level, N option, q open flags, u user, c clock.
struct call_kind {
    uint16_t nr;
    const char *kinds;
};
extern const struct call_kind call_table[];
extern const unsigned call_count;

uint64_t next_random(struct source *s);

/// A number below `count`.
static inline unsigned below(struct source *s, unsigned count)
{
    return (unsigned)(next_random(s) >> 16) % count;
}

/// One chance in `count`.
static inline bool one_in(struct source *s, unsigned count)
{
    return below(s, count) == 0;
}

/// Any word, more often one at a boundary.
uint64_t any_word(struct source *s);

/// A pointer, good or bad.
uint64_t any_pointer(struct source *s);

/// Fill memory with words that mean something: descriptors, pointers, small and extreme numbers.
void fill(struct source *s, void *at, size_t length);

/// The argument that a letter of the call table stands for.
uint64_t argument(struct source *s, char letter);

/// Choose a call and its arguments.
void choose_call(struct source *s, uint64_t *nr, uint64_t arguments[6]);

/// The call itself; a child that it makes ends at once, whatever its stack is.
int64_t raw_call(uint64_t nr, const uint64_t a[6]);

/// Map the arena (again).
void map_arena(struct source *s);

/// Open descriptors of every kind.
void open_everything(void);

/// Rounds of their own: children that return from signals with hostile frames, that run mutated ELF files, that exhaust
/// something.
void fuzz_frames(struct source *s, unsigned count);
void fuzz_elf(struct source *s, unsigned count);

#endif
