// SPDX-License-Identifier: MIT
// Uses the CPU in user mode for SECONDS, bound to CPU (if given), and prints "spun ROUNDS". Usage: spin SECONDS [CPU]
#include "guest_test.h"

#include <sched.h>

int main(int argc, char **argv)
{
    double end = now() + (argc > 1 ? atof(argv[1]) : 1);
    line_output();
    if (argc > 2) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)atoi(argv[2]), &set);
        if (sched_setaffinity(0, sizeof set, &set) < 0)
            perror("sched_setaffinity");
    }
    volatile unsigned long rounds = 0;
    printf("spinning %d\n", getpid());
    while (now() < end)
        for (int i = 0; i < 100000; i++)
            rounds++;
    printf("spun %lu\n", rounds);
    return 0;
}
