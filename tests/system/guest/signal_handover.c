// SPDX-License-Identifier: MIT
// A signal of a process reaches another thread when the one that was woken for it blocks it or exits before it takes it; and a thread that
// exits while the others stop does not keep its parent waiting. Each is a moment that delays around system calls make likely, so there are
// few calls between what belongs together.
#include "guest_test.h"

#include <pthread.h>
#include <sys/syscall.h>

enum { ROUNDS = 40 };

static int ready[2], go[2], taken[2];
static volatile sig_atomic_t late; // the alarm came

static void on_signal(int sig)
{
    if (sig == SIGALRM)
        late = 1;
    else
        (void)!write(taken[1], "t", 1);
}

static void block(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

static void *take_signals(void *arg)
{
    block(SIG_UNBLOCK);
    (void)!write(ready[1], "r", 1);
    for (;;)
        pause();
    return arg;
}

/// Whether a byte comes, before the alarm does.
static int comes(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 1;
}

/// When the other thread is ready say so, and be gone without libc's exit of a thread, which would block all signals first.
static void *leave(void *arg)
{
    block(SIG_UNBLOCK);
    comes(ready[0]);
    (void)!write(go[1], "g", 1);
    syscall(SYS_exit, 0);
    return arg;
}

/// A child whose main thread blocks SIGUSR1, with a thread that leaves, made first, and another that takes signals.
static pid_t child_with_leaver(void)
{
    alarm(PATIENCE_MS / 1000);
    pid_t child = fork();
    if (child)
        return child;
    pthread_t t;
    block(SIG_BLOCK);
    pthread_create(&t, NULL, leave, NULL);
    pthread_create(&t, NULL, take_signals, NULL);
    for (;;)
        pause();
}

static void end(pid_t child)
{
    alarm(0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void *send_when_told(void *arg)
{
    block(SIG_BLOCK);
    while (comes(go[0]))
        kill(getpid(), SIGUSR1);
    return arg;
}

static void check_blocks(void)
{
    int lost = 0;
    pthread_t t;
    pthread_create(&t, NULL, take_signals, NULL);
    pthread_create(&t, NULL, send_when_told, NULL);
    for (int i = 0; i < ROUNDS && !lost; i++) {
        alarm(PATIENCE_MS / 1000);
        block(SIG_UNBLOCK);
        (void)!write(go[1], "g", 1);
        block(SIG_BLOCK);
        lost = !comes(taken[0]);
    }
    alarm(0);
    check("the woken thread blocks the signal", !lost, "nobody takes it");
}

static void check_exits(void)
{
    int lost = 0;
    for (int i = 0; i < ROUNDS && !lost; i++) {
        pid_t child = child_with_leaver();
        comes(go[0]);
        kill(child, SIGUSR1);
        lost = !comes(taken[0]);
        end(child);
    }
    check("the woken thread exits", !lost, "nobody takes the signal");
}

static void check_stops(void)
{
    int lost = 0;
    for (int i = 0; i < ROUNDS && !lost; i++) {
        int status = 0;
        pid_t child = child_with_leaver();
        comes(go[0]);
        kill(child, SIGSTOP);
        lost = waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || late;
        end(child);
    }
    check("a thread exits while the others stop", !lost, "the parent is not told of the stop");
}

int main(void)
{
    struct sigaction a = {.sa_handler = on_signal};
    line_output();
    if (pipe(ready) || pipe(go) || pipe(taken))
        return 1;
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGALRM, &a, NULL);
    check_exits();
    check_stops();
    check_blocks();
    printf("signal_handover: %d failed\n", failures);
    return failures != 0;
}
