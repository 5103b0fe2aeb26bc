// SPDX-License-Identifier: MIT
// Process 1 of a guest under -icount shift=0,sleep=off, where a nanosecond of virtual time is one instruction: prints what system calls,
// context switches, pipes, faults, fork and exec cost, one "cost NAME INSTRUCTIONS" line each, then powers off. The least of several
// rounds counts, so that a timer's interrupt in one of them does not.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9 };

static int64_t now(void)
{
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); // never by a vDSO: it may have another clock
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int to_echo[2], from_echo[2], scratch = -1;

static void null_call(int n)
{
    while (n--)
        syscall(SYS_getppid);
}
static void clock_call(int n)
{
    struct timespec t;
    while (n--)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
}
static void clock_libc(int n)
{
    struct timespec t;
    while (n--)
        clock_gettime(CLOCK_MONOTONIC, &t);
}
static void open_close(int n)
{
    while (n--)
        close(open("/dev/null", O_RDONLY));
}
static void read_zero(int n)
{
    static char buf[4096];
    while (n--)
        if (read(scratch, buf, sizeof buf) != sizeof buf)
            abort();
}
static void pipe_self(int n)
{
    char c = 0;
    while (n--)
        if (write(to_echo[1], &c, 1) != 1 || read(to_echo[0], &c, 1) != 1)
            abort();
}
static void pipe_round_trip(int n)
{
    char c = 0;
    while (n--)
        if (write(to_echo[1], &c, 1) != 1 || read(from_echo[0], &c, 1) != 1)
            abort();
}
static void yields(int n)
{
    while (n--)
        sched_yield();
}
static void fork_wait(int n)
{
    while (n--) {
        pid_t pid = fork();
        if (!pid)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
}
static void vfork_exec_wait(int n)
{
    static char *const argv[] = {(char *)"/init", (char *)"nothing", NULL};
    while (n--) {
        pid_t pid = vfork();
        if (!pid) {
            execve("/init", argv, NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
}
static void fork_exec_wait(int n)
{
    static char *const argv[] = {(char *)"/init", (char *)"nothing", NULL};
    while (n--) {
        pid_t pid = fork();
        if (!pid) {
            execve("/init", argv, NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
}
static void *thread_body(void *p)
{
    return p;
}
static void thread_join(int n)
{
    while (n--) {
        pthread_t t;
        pthread_create(&t, NULL, thread_body, NULL);
        pthread_join(t, NULL);
    }
}
static void map_touch(int n)
{
    while (n--) {
        char *p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < 16; i++)
            p[i * 4096] = 1;
        munmap(p, 16 * 4096);
    }
}
static volatile sig_atomic_t caught;
static void on_signal(int sig)
{
    caught += sig;
}
static void signal_self(int n)
{
    while (n--)
        raise(SIGUSR1);
}

/// Another process that sends back what it gets, until the pipe ends.
static pid_t start_echo(void)
{
    pid_t pid = fork();
    if (!pid) {
        char c;
        close(to_echo[1]);
        close(from_echo[0]);
        while (read(to_echo[0], &c, 1) == 1 && write(from_echo[1], &c, 1) == 1)
            ;
        _exit(0);
    }
    return pid;
}
/// Another process that yields as well, for ever.
static pid_t start_yielder(void)
{
    pid_t pid = fork();
    if (!pid)
        for (;;)
            sched_yield();
    return pid;
}

static void measure(const char *name, void (*f)(int), int n, int operations)
{
    int64_t best = INT64_MAX;
    f(n); // caches, and what is only done the first time
    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = now();
        f(n);
        int64_t taken = now() - start;
        best = taken < best ? taken : best;
    }
    printf("cost %s %.1f\n", name, (double)best / n / operations);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return 0;
    if (pipe(to_echo) < 0 || pipe(from_echo) < 0)
        return 1;
    signal(SIGUSR1, on_signal);
    mkdir("/dev", 0755);
    scratch = open("/dev/zero", O_RDONLY);
    measure("null system call (getppid)", null_call, 2000, 1);
    measure("clock_gettime system call", clock_call, 2000, 1);
    measure("clock_gettime by libc", clock_libc, 2000, 1);
    if (scratch >= 0) {
        measure("open and close", open_close, 500, 1);
        measure("read of 4 KiB from /dev/zero", read_zero, 500, 1);
    }
    measure("pipe write and read, one process", pipe_self, 500, 1);
    pid_t echo = start_echo();
    measure("pipe round trip, two processes", pipe_round_trip, 500, 1);
    close(to_echo[1]);
    waitpid(echo, NULL, 0);
    pid_t yielder = start_yielder();
    measure("sched_yield with another runnable", yields, 500, 1);
    kill(yielder, SIGKILL);
    waitpid(yielder, NULL, 0);
    measure("signal to itself, handled", signal_self, 500, 1);
    measure("thread create and join", thread_join, 50, 1);
    measure("mmap, touch 16 pages, munmap", map_touch, 50, 1);
    measure("fork, exit, wait", fork_wait, 50, 1);
    measure("vfork, exec, exit, wait", vfork_exec_wait, 20, 1);
    measure("fork, exec, exit, wait", fork_exec_wait, 20, 1);
    puts("done");
    fflush(stdout);
    sync();
    reboot(RB_AUTOBOOT); // with -no-reboot QEMU ends
    return 1;
}
