// SPDX-License-Identifier: MIT
// Programs that take all there is: stack, processes, descriptors. Each meets its limit and nothing else does. Prints "ok NAME" lines that
// are the same on Linux. Needs root.
#include "guest_test.h"

#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { SOMEBODY = 1234, PROCESSES = 30, FILES = 40 };
static const char file_max[] = "/proc/sys/fs/file-max", file_nr[] = "/proc/sys/fs/file-nr";

static void limit(int what, rlim_t n)
{
    struct rlimit r = {n, n};
    if (setrlimit(what, &r) < 0)
        perror("setrlimit");
}

// --- the stack -------------------------------------------------------------------------------------

static sigjmp_buf again;
static volatile sig_atomic_t faults;

static void on_fault(int sig)
{
    (void)sig;
    faults++;
    siglongjmp(again, 1);
}

/// Takes more than a page of stack at each step, so that the guard could be met, but not jumped over.
static volatile int deeper = 1;
static int sink(volatile char *above)
{
    volatile char here[5000];
    here[0] = above[0];
    here[sizeof here - 1] = 1;
    return deeper ? sink(here) + here[0] : 0;
}

static void overflow(void)
{
    static char other[65536];
    stack_t s = {.ss_sp = other, .ss_size = sizeof other};
    struct sigaction a = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    volatile char start = 0;
    sigaltstack(&s, NULL);
    sigaction(SIGSEGV, &a, NULL);
    limit(RLIMIT_STACK, 1 << 20);
    for (volatile int i = 0; i < 20; i++)
        if (!sigsetjmp(again, 1))
            sink(&start);
    check_value("a handler on its own stack survives the end of the stack", faults, 20);
    signal(SIGSEGV, SIG_DFL);
    sink(&start);
}

// --- processes -------------------------------------------------------------------------------------

/// All that fork() gives, and all of those again. Everyone tells when it is refused.
static void bomb(int told)
{
    limit(RLIMIT_NPROC, PROCESSES);
    while (fork() >= 0)
        ;
    char why = (char)errno;
    if (write(told, &why, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void fork_bomb(void)
{
    int told[2], refused = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (pipe(told) < 0)
        return;
    pid_t first = fork();
    if (!first) {
        setpgid(0, 0);
        if (setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)
            _exit(1);
        bomb(told[1]);
    }
    for (char why; refused < PROCESSES && read(told[0], &why, 1) == 1 && why == EAGAIN;)
        refused++;
    check_value("each process of a fork bomb is refused in the end", refused, PROCESSES);
    kill(-first, SIGKILL);
    int reaped = 0, status;
    while (wait(&status) > 0)
        reaped += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    check_value("and dies", reaped, PROCESSES);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(told[0]);
    close(told[1]);
}

// --- descriptors -----------------------------------------------------------------------------------

static int open_null(void)
{
    return open("/dev/null", O_RDONLY);
}

static void process_full(void)
{
    int two[2], n = 0, listener = socket(AF_INET, SOCK_STREAM, 0), last = -1;
    struct rlimit old, few = {FILES, FILES};
    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd; (fd = open_null()) >= 0; n++)
        last = fd;
    check("EMFILE", errno == EMFILE && last == FILES - 1 && n < FILES, NULL);
    check_errno("dup", dup(0), EMFILE);
    check_errno("F_DUPFD", fcntl(0, F_DUPFD, 0), EMFILE);
    check_errno("F_DUPFD beyond the limit", fcntl(0, F_DUPFD, FILES), EINVAL);
    check_errno("dup2 beyond the limit", dup2(0, FILES), EBADF);
    check_errno("pipe", pipe(two), EMFILE);
    check_errno("socket", socket(AF_INET, SOCK_DGRAM, 0), EMFILE);
    check_errno("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, two), EMFILE);
    check_errno("epoll", epoll_create1(0), EMFILE);
    check_errno("eventfd", eventfd(0, 0), EMFILE);
    close(last);
    check_errno("pipe with one free", pipe(two), EMFILE);
    check_errno("socketpair with one free", socketpair(AF_UNIX, SOCK_STREAM, 0, two), EMFILE);
    check_value("the one is still free", open_null(), last);
    for (int fd = listener + 1; fd < FILES; fd++)
        close(fd);
    setrlimit(RLIMIT_NOFILE, &old);
    check_value("all are free again", open_null(), listener + 1);
    close(listener + 1);
    close(listener);
}

static long read_number(const char *path)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return -1;
    close(fd);
    return atol(text);
}

static int write_number(const char *path, long n)
{
    char text[64];
    int fd = open(path, O_WRONLY), length = snprintf(text, sizeof text, "%ld", n);
    int good = fd >= 0 && write(fd, text, (size_t)length) == length;
    close(fd);
    return good;
}

/// Only root may go on when the system's files are at their limit.
static void system_full(void)
{
    long before = read_number(file_max);
    check("file-max", before > 0 && write_number(file_max, read_number(file_nr) + 100), NULL);
    pid_t child = fork();
    if (!child) {
        limit(RLIMIT_NOFILE, 900);
        if (setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)
            _exit(1);
        while (open_null() >= 0)
            ;
        check_value("ENFILE", errno, ENFILE);
        check_errno("of a socket", socket(AF_INET, SOCK_DGRAM, 0), ENFILE);
        int two[2];
        check_errno("of a pipe", pipe(two), ENFILE);
        _exit(failures != 0);
    }
    int status;
    waitpid(child, &status, 0);
    check("limit of the system", WIFEXITED(status) && !WEXITSTATUS(status), "see above");
    check("file-max is put back", write_number(file_max, before), NULL);
}

int main(void)
{
    int status;
    line_output();
    pid_t child = fork();
    if (!child) {
        overflow();
        _exit(0);
    }
    waitpid(child, &status, 0);
    check("without one it is the end", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
          "other end");
    fork_bomb();
    process_full();
    system_full();
    printf(failures ? "exhaust: %d failed\n" : "exhaust: all ok\n", failures);
    return failures != 0;
}
