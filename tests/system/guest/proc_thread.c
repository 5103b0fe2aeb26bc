// SPDX-License-Identifier: MIT
// Threads and futexes: creation, joining, mutexes, conditions, time-outs, signals to threads, exec and exit with threads.
#include "guest_test.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { THREADS = 8, ROUNDS = 5000 };
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_CMP_REQUEUE = 4 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;
static __thread int own;

static long futex(int *word, int op, int value, const struct timespec *timeout, int *word2,
                  int value3)
{
    return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static void *add(void *arg)
{
    own = (int)(long)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
    return (void *)(long)(own * 2);
}

static void check_threads(void)
{
    pthread_t t[THREADS];
    int good = 1;
    for (long i = 0; i < THREADS; i++)
        good &= !pthread_create(&t[i], NULL, add, (void *)i);
    check("create", good, "failed");
    for (long i = 0; i < THREADS; i++) {
        void *result;
        good &= !pthread_join(t[i], &result) && (long)result == i * 2;
    }
    check("join and thread-local storage", good, "differ");
    check_value("mutex", counter, THREADS * ROUNDS);
}

static void *ping(void *arg)
{
    for (int i = 0; i < ROUNDS / 5; i++) {
        pthread_mutex_lock(&lock);
        while (turn != (int)(long)arg)
            pthread_cond_wait(&condition, &lock);
        turn = !turn;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void check_condition(void)
{
    pthread_t t[2];
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, ping, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    check_value("condition", turn, 0);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_sec++;
        soon.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&lock);
    check_value("timed wait", pthread_cond_timedwait(&condition, &lock, &soon), ETIMEDOUT);
    pthread_mutex_unlock(&lock);
}

static void check_futex(void)
{
    int word = 1, other = 0;
    struct timespec brief = {0, 10000000};
    check_errno("value differs", futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
    check_errno("time-out", futex(&word, FUTEX_WAIT, 1, &brief, NULL, 0), ETIMEDOUT);
    check_errno("unaligned", futex((int *)((char *)&word + 1), FUTEX_WAIT, 1, NULL, NULL, 0),
                EINVAL);
    check_errno("bad address", futex((int *)4, FUTEX_WAIT, 1, NULL, NULL, 0), EFAULT);
    check_value("nobody waits", futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    check_errno("requeue of a changed word",
                futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 5), EAGAIN);
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (!child)
        _exit(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
    long woken = 0;
    WAIT_FOR((woken = futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0)));
    int status = -1;
    waitpid(child, &status, 0);
    check("shared between processes", woken == 1 && status == 0, "not woken");
    munmap(shared, 4096);
}

static volatile pthread_t handled_by;
static void handler(int sig)
{
    (void)sig;
    handled_by = pthread_self();
}

static volatile int waiting; // the thread's id
static void *wait_for_poke(void *arg)
{
    sigset_t poke, none;
    sigemptyset(&none);
    sigemptyset(&poke);
    sigaddset(&poke, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &poke, NULL); // so that it cannot come just before the sleep
    waiting = (int)syscall(SYS_gettid);
    while (!handled_by)
        sigsuspend(&none);
    return arg;
}

static void check_signal(void)
{
    struct sigaction a = {.sa_handler = handler};
    sigaction(SIGUSR1, &a, NULL);
    pthread_t t;
    pthread_create(&t, NULL, wait_for_poke, NULL);
    while (!waiting)
        sleep_ms(1);
    wait_until_asleep(waiting);
    pthread_kill(t, SIGUSR1);
    WAIT_FOR(handled_by);
    check("signal to a thread", pthread_equal(handled_by, t), "another one");
    pthread_kill(t, SIGUSR1);
    pthread_join(t, NULL);
}

static void *forever(void *arg)
{
    for (;;) {
        if (arg)
            counter++;
        else
            pause();
    }
    return NULL;
}

static void *run_exec(void *name)
{
    char *argv[] = {"x", "executed", NULL};
    execv(name, argv);
    _exit(1);
}

/// The group ends as one, whichever thread ends it and whatever the others do.
static void check_group(const char *self)
{
    for (int way = 0; way < 4; way++) {
        pid_t child = fork();
        if (!child) {
            pthread_t t;
            for (long i = 0; i < 3; i++)
                pthread_create(&t, NULL, forever, (void *)(i & 1));
            sleep_ms(10);
            if (way == 1)
                raise(SIGSEGV);
            if (way == 2)
                pthread_create(&t, NULL, run_exec, (void *)self);
            if (way >= 2)
                for (;;)
                    pause();
            _exit(11);
        }
        if (way == 3) {
            sleep_ms(50);
            kill(child, SIGKILL);
        }
        static const int wanted[] = {11 << 8, SIGSEGV, 55 << 8, SIGKILL};
        static const char *const names[] = {"exit", "fault", "exec", "kill"};
        int status = -1;
        waitpid(child, &status, 0);
        check_value(names[way], status & ~0x80, wanted[way]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "executed"))
        return 55;
    line_output();
    check_threads();
    check_condition();
    check_futex();
    check_signal();
    check_group((const char *)getauxval(AT_EXECFN));
    printf("proc_thread: %d failed\n", failures);
    return failures != 0;
}
