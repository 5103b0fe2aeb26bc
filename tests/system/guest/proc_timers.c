// SPDX-License-Identifier: MIT
// Timers, clocks and signals that are read: what a program sees of timer_create, timerfd, signalfd, setitimer, the CPU clocks
// and interrupted sleeps. Prints "ok NAME" lines that are the same on Linux; no line depends on how fast the machine is.
#include "guest_test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

static volatile sig_atomic_t caught, code, overrun, value;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    caught++;
    code = info->si_code;
    overrun = info->si_overrun;
    value = info->si_value.sival_int;
}

static void catch (int sig, int flags)
{
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, NULL);
    caught = 0;
}

static void block(int sig, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(how, &set, NULL);
}

/// Wait until `caught` reaches n; false if it does not.
static int wait_caught(int n)
{
    WAIT_FOR(caught >= n);
    return caught >= n;
}

static struct itimerspec every(long ms, long first_ms)
{
    struct itimerspec t = {{ms / 1000, ms % 1000 * 1000000},
                           {first_ms / 1000, first_ms % 1000 * 1000000}};
    return t;
}

static void posix_timers(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    e.sigev_value.sival_int = 77;
    timer_t t;
    catch (SIGRTMIN + 1, 0);
    check("timer_create", timer_create(CLOCK_MONOTONIC, &e, &t) == 0, NULL);
    struct itimerspec once = every(0, 20), left;
    check("timer_settime", timer_settime(t, 0, &once, NULL) == 0, NULL);
    check("timer fires", wait_caught(1), "no signal");
    check_value("si_code", code, SI_TIMER);
    check_value("si_value", value, 77);
    check("one shot",
          timer_gettime(t, &left) == 0 && !left.it_value.tv_sec && !left.it_value.tv_nsec, NULL);

    // While the signal is blocked expiries are counted, and all of them come with one signal.
    struct itimerspec fast = every(10, 10), off = every(0, 0);
    block(SIGRTMIN + 1, SIG_BLOCK);
    caught = 0;
    timer_settime(t, 0, &fast, NULL);
    sleep_ms(200);
    block(SIGRTMIN + 1, SIG_UNBLOCK);
    check("overruns are told", caught >= 1 && timer_getoverrun(t) >= 0, NULL);
    timer_settime(t, 0, &off, &left);
    check_value("interval comes back", left.it_interval.tv_nsec, 10000000);
    // An absolute time in the past fires at once.
    struct itimerspec past = {{0, 0}, {1, 0}};
    caught = 0;
    timer_settime(t, TIMER_ABSTIME, &past, NULL);
    check("absolute in the past", wait_caught(1), "no signal");
    check("timer_delete", timer_delete(t) == 0, NULL);
    check_errno("deleted", timer_gettime(t, &left), EINVAL);
    e.sigev_signo = 65;
    check_errno("bad signal", timer_create(CLOCK_MONOTONIC, &e, &t), EINVAL);
    check_errno("bad clock", timer_create(99, NULL, &t), EINVAL);
}

static void cpu_timers(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t t;
    catch (SIGUSR1, 0);
    check("cpu timer", timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t) == 0, NULL);
    struct itimerspec once = every(0, 30);
    timer_settime(t, 0, &once, NULL);
    while (!caught)
        ;
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    check("not before its time", used.tv_sec > 0 || used.tv_nsec >= 30000000, "early");
    timer_delete(t);
    catch (SIGVTALRM, 0);
    struct itimerval v = {{0, 0}, {0, 20000}}, old;
    setitimer(ITIMER_VIRTUAL, &v, NULL);
    while (!caught)
        ;
    check("ITIMER_VIRTUAL", getitimer(ITIMER_VIRTUAL, &old) == 0 && !old.it_value.tv_usec, NULL);
    catch (SIGPROF, 0);
    setitimer(ITIMER_PROF, &v, NULL);
    while (!caught)
        ;
    check("ITIMER_PROF", 1, NULL);
    clockid_t clock;
    check("clock of a process",
          clock_getcpuclockid(getpid(), &clock) == 0 && clock_gettime(clock, &used) == 0, NULL);
    check("clock of a thread",
          pthread_getcpuclockid(pthread_self(), &clock) == 0 && clock_gettime(clock, &used) == 0,
          NULL);
    struct timespec bit = {0, 1000000};
    check_value("sleep on own time", clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &bit, NULL),
                EINVAL);
}

static void timerfds(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    uint64_t n = 0;
    check("timerfd_create", fd >= 0, NULL);
    check_errno("not armed", read(fd, &n, sizeof n), EAGAIN);
    struct itimerspec t = every(10, 10), left;
    check("timerfd_settime", timerfd_settime(fd, 0, &t, NULL) == 0, NULL);
    struct pollfd p = {fd, POLLIN, 0};
    check_value("poll", poll(&p, 1, PATIENCE_MS), 1);
    sleep_ms(60);
    check("expirations add up", read(fd, &n, sizeof n) == sizeof n && n >= 2, NULL);
    check("timerfd_gettime",
          timerfd_gettime(fd, &left) == 0 && left.it_interval.tv_nsec == 10000000, NULL);
    check_errno("short read", read(fd, &n, 4), EINVAL);
    check_errno("no write", write(fd, &n, sizeof n), EINVAL);
    check_errno("bad flags", timerfd_create(CLOCK_MONOTONIC, 0x1234567), EINVAL);
    check_errno("not a timer", timerfd_gettime(0, &left), EINVAL);
    close(fd);
    // The wall clock is set: a timer that asked for it is cancelled.
    fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct itimerspec far = {{0, 0}, {now.tv_sec + 1000, 0}};
    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_settime(CLOCK_REALTIME, &now);
    check_errno("cancelled", read(fd, &n, sizeof n), ECANCELED);
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    far.it_value.tv_sec = now.tv_sec + 100;
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &far, NULL);
    now.tv_sec += 200;
    clock_settime(CLOCK_REALTIME, &now);
    check("follows the wall clock", read(fd, &n, sizeof n) == sizeof n && n == 1, NULL);
    now.tv_sec -= 200;
    clock_settime(CLOCK_REALTIME, &now);
    close(fd);
}

static void signalfds(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo s;
    check("signalfd", fd >= 0, NULL);
    check_errno("nothing yet", read(fd, &s, sizeof s), EAGAIN);
    kill(getpid(), SIGUSR2);
    union sigval v = {.sival_int = 1234};
    sigqueue(getpid(), SIGRTMIN + 2, v);
    struct pollfd p = {fd, POLLIN, 0};
    check_value("poll", poll(&p, 1, PATIENCE_MS), 1);
    check_value("read", read(fd, &s, sizeof s), sizeof s);
    check("first: kill",
          s.ssi_signo == SIGUSR2 && s.ssi_code == SI_USER && s.ssi_pid == (uint32_t)getpid(), NULL);
    check_value("read", read(fd, &s, sizeof s), sizeof s);
    check("then: sigqueue", s.ssi_code == SI_QUEUE && s.ssi_int == 1234, NULL);
    check_errno("too small", read(fd, &s, 8), EINVAL);
    pid_t child = fork();
    if (!child) {
        sleep_ms(50);
        kill(getppid(), SIGUSR2);
        _exit(0);
    }
    check_value("poll wakes", poll(&p, 1, PATIENCE_MS), 1);
    check("from the child", read(fd, &s, sizeof s) == sizeof s && s.ssi_pid == (uint32_t)child,
          NULL);
    waitpid(child, NULL, 0);
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/// A blocked signal whose default is death is for who waits for it.
static void awaited_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t child = fork();
    if (!child) {
        sleep_ms(100);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    siginfo_t info = {0};
    struct timespec limit = {PATIENCE_MS / 1000, 0};
    check_value("sigtimedwait", sigtimedwait(&set, &info, &limit), SIGUSR1);
    check("who sent it", info.si_pid == child, NULL);
    waitpid(child, NULL, 0);
    limit.tv_sec = 0;
    check_errno("no more", sigtimedwait(&set, &info, &limit), EAGAIN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void interrupted_sleeps(void)
{
    struct timespec second = {0, 400000000}, left = {9, 9};
    double start = now();
    pid_t child = fork();
    if (!child) { // one child does both, so that the stop comes first however late it is
        sleep_ms(50);
        kill(getppid(), SIGSTOP);
        sleep_ms(150);
        kill(getppid(), SIGCONT);
        _exit(0);
    }
    int r = nanosleep(&second, &left);
    check("stop and continue do not end a sleep", r == 0 && now() - start >= 0.4, NULL);
    while (wait(NULL) > 0)
        ;
    catch (SIGALRM, SA_RESTART);
    alarm_every_ms(50);
    check_errno("a handler does", nanosleep(&(struct timespec){500, 0}, &left), EINTR);
    check("what is left", left.tv_sec >= 400 && left.tv_sec < 500, "wrong remainder");
    check_errno("poll", poll(NULL, 0, 50000), EINTR);
    alarm_every_ms(0);
    struct timex x = {0};
    check("adjtimex", adjtimex(&x) >= 0 && x.tick == 10000, NULL);
}

static void cpu_limit(void)
{
    pid_t child = fork();
    if (!child) {
        // The end is set when its time has come: a second may pass at once.
        struct rlimit l = {1, 100};
        setrlimit(RLIMIT_CPU, &l);
        catch (SIGXCPU, 0);
        while (!caught)
            ;
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        // The limit is held to ticks on Linux, the usage is not: half a second is proof enough.
        double used =
            u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
        printf("SIGXCPU after a second: %s\n", used >= 0.5 ? "yes" : "no");
        fflush(stdout);
        l.rlim_max = 2;
        setrlimit(RLIMIT_CPU, &l);
        for (;;)
            ;
    }
    int status;
    waitpid(child, &status, 0);
    check("then SIGKILL", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "other end");
}

/// A child busy with user time alone or with long system calls: has it used a good part of the time that it took?
static int time_counts(int calls)
{
    static char zeros[1 << 20];
    int zero = open("/dev/zero", O_RDONLY);
    volatile int *state =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum { STARTED = 1, ENOUGH };
    pid_t child = fork();
    if (!child) {
        *state = STARTED;
        while (*state != ENOUGH)
            if (calls && read(zero, zeros, sizeof zeros) != sizeof zeros)
                _exit(1);
        _exit(0);
    }
    while (*state != STARTED)
        sleep_ms(1);
    double start = now();
    sleep_ms(50);
    double took = now() - start;
    *state = ENOUGH;
    struct rusage u = {0};
    wait4(child, NULL, 0, &u);
    munmap((void *)state, 4096);
    close(zero);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6 >=
           took / 4;
}

/// The time of a child that ends without having looked at a clock is not lost. It may have had to wait for most of it, but not every time.
static void last_stretch(int calls, const char *name)
{
    int tries = 20;
    while (!time_counts(calls) && tries)
        tries--;
    check(name, tries > 0, "its time was lost");
}

int main(void)
{
    line_output();
    posix_timers();
    cpu_timers();
    timerfds();
    signalfds();
    awaited_signal();
    interrupted_sleeps();
    cpu_limit();
    last_stretch(0, "a short child's user time");
    last_stretch(1, "and that of its calls");
    printf(failures ? "proc_timers: %d failed\n" : "proc_timers: all ok\n", failures);
    return failures != 0;
}
