// SPDX-License-Identifier: MIT
// POSIX message queues: order by priority, limits, who waits for whom, notice by signal, rights, errors.
#include "guest_test.h"

#include <mqueue.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char back[8192];
static volatile sig_atomic_t notices, notice_code, notice_value;

static void noticed(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    notices++;
    notice_code = info->si_code;
    notice_value = info->si_value.sival_int;
}

/// The next message must be `text` of priority `prio`.
static void expect(const char *name, mqd_t q, const char *text, unsigned prio)
{
    unsigned got = 77;
    ssize_t n = mq_receive(q, back, sizeof back, &got);
    back[n > 0 ? n : 0] = 0;
    check(name, n == (ssize_t)strlen(text) && !strcmp(back, text) && got == prio, back);
}

static long messages(mqd_t q)
{
    struct mq_attr a;
    return mq_getattr(q, &a) ? -1 : a.mq_curmsgs;
}

static void check_order(void)
{
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 64}, old;
    mqd_t q = mq_open("/order", O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &a);
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    check("mq_open", q >= 0, NULL);
    check_value("close on exec", fcntl(q, F_GETFD), FD_CLOEXEC);
    check_value("writable only", poll(&p, 1, 0) == 1 ? p.revents : -1, POLLOUT);
    check_errno("empty", mq_receive(q, back, sizeof back, NULL), EAGAIN);
    check_value("send", mq_send(q, "low", 3, 1), 0);
    mq_send(q, "high", 4, 9);
    mq_send(q, "low too", 7, 1);
    check_value("both", poll(&p, 1, 0) == 1 ? p.revents : -1, POLLIN | POLLOUT);
    check_value("an empty one", mq_send(q, "", 0, 5), 0);
    check_value("readable only", poll(&p, 1, 0) == 1 ? p.revents : -1, POLLIN);
    check_errno("full", mq_send(q, "x", 1, 1), EAGAIN);
    check_value("how many", messages(q), 4);
    expect("the highest", q, "high", 9);
    expect("then", q, "", 5);
    expect("the oldest", q, "low", 1);
    expect("the last", q, "low too", 1);
    a.mq_flags = 0;
    check_value("mq_setattr", mq_setattr(q, &a, &old), 0);
    check("as it was", old.mq_flags == O_NONBLOCK && old.mq_maxmsg == 4 && old.mq_msgsize == 64,
          "others");
    check_value("blocking now", fcntl(q, F_GETFL), O_RDWR);
    mq_close(q);
}

static void check_waiting(void)
{
    mqd_t q = mq_open("/order", O_RDWR);
    struct timespec past = {1, 0}, wrong = {1, -1};
    check_errno("time is up", mq_timedreceive(q, back, sizeof back, NULL, &past), ETIMEDOUT);
    check_errno("no time", mq_timedreceive(q, back, sizeof back, NULL, &wrong), EINVAL);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(mq_receive(q, back, sizeof back, NULL) == 4 ? 0 : 1);
    wait_until_asleep(child);
    mq_send(q, "wake", 4, 0);
    check_value("waits for a message", exit_of(child), 0);
    for (int i = 0; i < 4; i++)
        mq_send(q, "fill", 4, 0);
    check_errno("no room in time", mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
    child = fork();
    if (!child)
        _exit(mq_send(q, "room", 4, 0) != 0);
    wait_until_asleep(child);
    expect("makes room", q, "fill", 0);
    check_value("waits for it", exit_of(child), 0);
    for (int i = 0; i < 3; i++)
        mq_receive(q, back, sizeof back, NULL);
    expect("came last", q, "room", 0);
    mq_close(q);
}

static void check_notice(void)
{
    mqd_t q = mq_open("/order", O_RDWR);
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct sigaction act = {.sa_sigaction = noticed, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &act, NULL);
    e.sigev_value.sival_int = 4711;
    check_value("mq_notify", mq_notify(q, &e), 0);
    check_errno("only one", mq_notify(q, &e), EBUSY);
    mq_send(q, "one", 3, 0);
    check_value("notice", notices, 1);
    check_value("its code", notice_code, SI_MESGQ);
    check_value("its value", notice_value, 4711);
    mq_send(q, "two", 3, 0);
    check_value("once", notices, 1);
    check_value("again", mq_notify(q, &e), 0);
    mq_send(q, "three", 5, 0);
    check_value("not while others are there", notices, 1);
    check_value("taken back", mq_notify(q, NULL), 0);
    while (messages(q))
        mq_receive(q, back, sizeof back, NULL);
    mq_send(q, "four", 4, 0);
    check_value("no notice", notices, 1);
    e.sigev_notify = 99;
    check_errno("unknown way", mq_notify(q, &e), EINVAL);
    check_errno("no queue", mq_notify(0, NULL), EBADF);
    mq_close(q);
}

static void check_names(void)
{
    struct mq_attr big = {.mq_maxmsg = 65537, .mq_msgsize = 10}, none = {0};
    char longest[300];
    mqd_t ro = mq_open("/order", O_RDONLY), wo = mq_open("/order", O_WRONLY);
    check_errno("exclusive", mq_open("/order", O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
    check_errno("no such queue", mq_open("/none", O_RDWR), ENOENT);
    check_errno("no size", mq_open("/x", O_CREAT | O_RDWR, 0600, &none), EINVAL);
    check_errno("too many", mq_open("/x", O_CREAT | O_RDWR, 0600, &big), EINVAL);
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[299] = 0;
    check_errno("a long name", mq_open(longest, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
    check_errno("a directory", mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
    check_errno("read-only", mq_send(ro, "x", 1, 0), EBADF);
    check_errno("write-only", mq_receive(wo, back, sizeof back, NULL), EBADF);
    check_errno("too long", mq_send(wo, back, 65, 0), EMSGSIZE);
    check_errno("too short a buffer", mq_receive(ro, back, 63, NULL), EMSGSIZE);
    check_errno("priority", mq_send(wo, "x", 1, 32768), EINVAL);
    check_errno("no queue", mq_send(1, "x", 1, 0), EBADF);
    check_value("unlink", mq_unlink("/order"), 0);
    check_errno("twice", mq_unlink("/order"), ENOENT);
    check_value("still usable", mq_send(wo, "later", 5, 3), 0);
    expect("what was sent", ro, "later", 3);
    expect("what was there", ro, "four", 0);
    mq_close(ro);
    mq_close(wo);
}

static void check_rights(void)
{
    struct rlimit tight = {20000, 20000};
    umask(0);
    mqd_t q = mq_open("/public", O_CREAT | O_RDWR, 0644, NULL);
    struct mq_attr a;
    check("defaults", !mq_getattr(q, &a) && a.mq_maxmsg == 10 && a.mq_msgsize == 8192, "others");
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        setgid(1000);
        setuid(1000);
        failures = 0;
        check("readable", mq_open("/public", O_RDONLY) >= 0, NULL);
        check_errno("not writable", mq_open("/public", O_RDWR), EACCES);
        check_errno("not removable", mq_unlink("/public"), EACCES);
        setrlimit(RLIMIT_MSGQUEUE, &tight);
        check_errno("beyond the limit", mq_open("/mine", O_CREAT | O_RDWR, 0600, NULL), EMFILE);
        struct mq_attr more = {.mq_maxmsg = 11, .mq_msgsize = 8};
        check_errno("beyond msg_max", mq_open("/mine", O_CREAT | O_RDWR, 0600, &more), EINVAL);
        more.mq_maxmsg = 10;
        check("a small one", mq_open("/mine", O_CREAT | O_RDWR, 0600, &more) >= 0, NULL);
        check_value("is removed", mq_unlink("/mine"), 0);
        fflush(stdout);
        _exit(failures);
    }
    failures += exit_of(child);
    check_value("by its owner", mq_unlink("/public"), 0);
    mq_close(q);
}

int main(void)
{
    line_output();
    mq_unlink("/order");
    mq_unlink("/public");
    check_order();
    check_waiting();
    check_notice();
    check_names();
    check_rights();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
