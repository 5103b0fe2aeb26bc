// SPDX-License-Identifier: MIT
// Signals: handlers, masks, restarts, alternate stacks, faults, timers.
#include "guest_test.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static volatile sig_atomic_t count;
static volatile int last_sender, last_code;
static volatile double seen;

static void counting(int sig)
{
    (void)sig;
    count++;
}

static void informed(int sig, siginfo_t *info, void *context)
{
    (void)context;
    count += sig;
    last_sender = info->si_pid;
    last_code = info->si_code;
}

static void install(int sig, void (*handler)(int), int flags)
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
    sigaction(sig, &a, NULL);
}

static void check_delivery(void)
{
    struct sigaction a = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO}, old;
    check_value("sigaction", sigaction(SIGUSR1, &a, NULL), 0);
    count = 0;
    raise(SIGUSR1);
    check_value("handler ran", count, SIGUSR1);
    kill(getpid(), SIGUSR1);
    check("sender", last_sender == getpid() && last_code == SI_USER, "differs");
    sigaction(SIGUSR1, NULL, &old);
    check("old action", old.sa_sigaction == informed && (old.sa_flags & SA_SIGINFO), "differs");
    check_errno("SIGKILL has no handler", sigaction(SIGKILL, &a, NULL), EINVAL);
    check_errno("no such signal", kill(getpid(), 65), EINVAL);
    install(SIGUSR2, counting, (int)SA_RESETHAND);
    count = 0;
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &old);
    check("SA_RESETHAND", count == 1 && old.sa_handler == SIG_DFL, "differs");
}

static void check_masks(void)
{
    sigset_t set, old, pending;
    install(SIGUSR1, counting, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGKILL);
    count = 0;
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&pending);
    check("blocked", count == 0 && sigismember(&pending, SIGUSR1), "delivered");
    sigprocmask(SIG_SETMASK, NULL, &set);
    check("KILL is never blocked", !sigismember(&set, SIGKILL), "blocked");
    sigprocmask(SIG_SETMASK, &old, NULL);
    check_value("delivered once", count, 1);
    int rt = SIGRTMIN + 1;
    install(rt, counting, 0);
    sigemptyset(&set);
    sigaddset(&set, rt);
    sigprocmask(SIG_BLOCK, &set, &old);
    count = 0;
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), rt, (union sigval){.sival_int = i});
    siginfo_t info;
    check_value("sigwaitinfo", sigwaitinfo(&set, &info), rt);
    check_value("its value", info.si_value.sival_int, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    check_value("real-time signals queue", count, 2);
    struct timespec brief = {0, 20000000};
    sigprocmask(SIG_BLOCK, &set, &old);
    check_errno("sigtimedwait", sigtimedwait(&set, NULL, &brief), EAGAIN);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void check_suspend(void)
{
    sigset_t set, old;
    install(SIGUSR1, counting, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    count = 0;
    pid_t child = fork();
    if (!child) {
        sleep_ms(30);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    sigset_t none;
    sigemptyset(&none);
    check_errno("sigsuspend", sigsuspend(&none), EINTR);
    check_value("its handler ran", count, 1);
    sigprocmask(SIG_SETMASK, NULL, &none);
    check("mask restored", sigismember(&none, SIGUSR1), "lost");
    sigprocmask(SIG_SETMASK, &old, NULL);
    waitpid(child, NULL, 0);
}

static pid_t poke_later(int sig, int fd)
{
    pid_t child = fork();
    if (child)
        return child;
    wait_until_asleep(getppid());
    kill(getppid(), sig);
    sleep_ms(30);
    if (fd >= 0)
        _exit(write(fd, "x", 1) != 1);
    _exit(0);
}

static void check_restart(void)
{
    int fds[2];
    char c;
    if (pipe(fds))
        perror("pipe");
    install(SIGUSR1, counting, 0);
    pid_t child = poke_later(SIGUSR1, -1);
    check_errno("read is interrupted", read(fds[0], &c, 1), EINTR);
    waitpid(child, NULL, 0);
    check_value("then there is data", write(fds[1], "x", 1) == 1 ? read(fds[0], &c, 1) : -1, 1);
    install(SIGUSR1, counting, SA_RESTART);
    child = poke_later(SIGUSR1, fds[1]);
    check_value("read is restarted", read(fds[0], &c, 1), 1);
    waitpid(child, NULL, 0);
    child = poke_later(SIGUSR1, -1);
    struct timespec ask = {500, 0}, left = {0};
    check_errno("nanosleep is interrupted", nanosleep(&ask, &left), EINTR);
    check("time left", left.tv_sec >= 400 && left.tv_sec < 500, "wrong");
    int status;
    check_value("wait", waitpid(child, &status, 0), child);
    child = poke_later(SIGUSR1, -1);
    check_value("wait is restarted", waitpid(child, &status, 0), child);
    close(fds[0]);
    close(fds[1]);
}

static sigjmp_buf back;
static volatile void *fault_address;
static volatile int fault_code;

static void faulted(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(back, sig);
}

static int try_write(volatile char *p)
{
    int sig = sigsetjmp(back, 1);
    if (!sig)
        *p = 1;
    return sig;
}

static void check_faults(void)
{
    struct sigaction a = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGFPE, &a, NULL);
    sigaction(SIGILL, &a, NULL);
    check_value("null pointer", try_write(NULL), SIGSEGV);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_value("read-only page", try_write(p + 5), SIGSEGV);
    check("its address", fault_address == p + 5, "differs");
    check_value("kernel address", try_write((char *)0xffffffff81000000), SIGSEGV);
    int sig = sigsetjmp(back, 1);
    if (!sig)
        __asm__ volatile("ud2");
    check_value("bad instruction", sig, SIGILL);
    sig = sigsetjmp(back, 1);
    if (!sig)
        __asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; divl %%ecx" ::
                             : "eax", "ecx", "edx", "cc");
    check_value("division by zero", sig, SIGFPE);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGFPE, SIG_DFL);
    signal(SIGILL, SIG_DFL);
    pid_t child = fork();
    int status;
    if (!child) {
        signal(SIGSEGV, SIG_IGN); // an ignored fault ends the process all the same
        try_write(NULL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_value("fatal fault", status & 0x7f, SIGSEGV);
    munmap(p, 4096);
}

static char *alternate;
static volatile int was_on_alternate;

static void on_alternate(int sig)
{
    (void)sig;
    char here;
    stack_t s;
    sigaltstack(NULL, &s);
    was_on_alternate = &here >= alternate && &here < alternate + 65536 && (s.ss_flags & SS_ONSTACK);
}

static void check_alternate_stack(void)
{
    alternate = malloc(65536);
    stack_t s = {.ss_sp = alternate, .ss_size = 65536}, tiny = {.ss_sp = alternate, .ss_size = 100},
            old;
    check_value("sigaltstack", sigaltstack(&s, NULL), 0);
    check_errno("too small", sigaltstack(&tiny, NULL), ENOMEM);
    install(SIGUSR1, on_alternate, SA_ONSTACK);
    raise(SIGUSR1);
    check("ran on it", was_on_alternate, "no");
    sigaltstack(NULL, &old);
    check("unchanged", old.ss_sp == alternate && !(old.ss_flags & SS_ONSTACK), "differs");
    s.ss_flags = SS_DISABLE;
    sigaltstack(&s, NULL);
    free(alternate);
}

static void clobber(int sig)
{
    (void)sig;
    volatile double x = 1.5;
    for (int i = 0; i < 100; i++)
        x = x * 1.01 + 0.5;
    seen = x;
    count++;
}

static void check_registers(void)
{
    install(SIGALRM, clobber, SA_RESTART);
    struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    count = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    double a = 1.0, b = 2.0, sum = 0;
    unsigned long long mix = 1;
    long rounds = 0;
    while (count < 50 && rounds < 2000000000L) {
        a = a * 1.0000001;
        b = b / 1.0000001;
        sum += a * b - 2.0;
        mix = mix * 6364136223846793005ULL + 1;
        rounds++;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    check("interval timer", count >= 50, "too few");
    check("floating point survives handlers", sum < 1e-3 && sum > -1e-3, "damaged");
    unsigned long long again = 1;
    for (long i = 0; i < rounds; i++)
        again = again * 6364136223846793005ULL + 1;
    check("registers survive handlers", again == mix, "damaged");
    install(SIGALRM, counting, 0);
    count = 0;
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, &old);
    double start = now();
    alarm(1);
    sigsuspend(&old);
    sigprocmask(SIG_SETMASK, &old, NULL);
    check("alarm", count == 1 && now() - start > 0.9, "too early");
    check_value("alarm left", alarm(100), 0);
    unsigned left = alarm(0); // rounded, and nobody knows when this runs
    check("alarm taken back", left > 0 && left <= 100, "another time");
}

static void check_children(void)
{
    install(SIGCHLD, counting, 0);
    count = 0;
    pid_t child = fork();
    if (!child)
        _exit(0);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    check_value("SIGCHLD", count, 1);
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (!child)
        _exit(0);
    check_errno("ignored children vanish", waitpid(child, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
    line_output();
    check_delivery();
    check_masks();
    check_suspend();
    check_restart();
    check_faults();
    check_alternate_stack();
    check_registers();
    check_children();
    printf("proc_signal: %d failed\n", failures);
    return failures != 0;
}
