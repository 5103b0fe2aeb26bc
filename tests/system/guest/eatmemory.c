// SPDX-License-Identifier: MIT
// A child takes all memory there is; the parent has little and must survive it.
#include "guest_test.h"

#include <sys/mman.h>

static void eat(void)
{
    const size_t piece = 1 << 20;
    for (;;) {
        char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            _exit(1);
        memset(p, 1, piece);
    }
}

int main(void)
{
    line_output();
    pid_t child = fork();
    if (!child)
        eat();
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        printf("the eater: signal %d\n", WTERMSIG(status));
    return !WIFSIGNALED(status);
}
