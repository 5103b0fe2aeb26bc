// SPDX-License-Identifier: MIT
// Very many descriptors: the limits of a process and of a user, COUNT of them (100,000) in one epoll, and the highest number there can be.
// Says the same on Linux. Needs root, and some 150 MiB. Usage: manyfds [COUNT]
#include "guest_test.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { MOST = 100000, SPARE = 64, HIGHEST = 1024 * 1024 - 1 };
static const char file_max[] = "/proc/sys/fs/file-max",
                  watches[] = "/proc/sys/fs/epoll/max_user_watches";
static int fds[MOST], count = MOST;

static long read_number(const char *path)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY);
    check(path, fd >= 0 && read(fd, text, sizeof text - 1) > 0, NULL);
    close(fd);
    return atol(text);
}

static void write_number(const char *path, long n)
{
    char text[64];
    int fd = open(path, O_WRONLY), length = snprintf(text, sizeof text, "%ld", n);
    check(path, fd >= 0 && write(fd, text, (size_t)length) == length, NULL);
    close(fd);
}

static int limit_files(long n)
{
    struct rlimit r = {(rlim_t)n, HIGHEST + 1};
    return setrlimit(RLIMIT_NOFILE, &r);
}

static int add(int ep, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void limit_of_a_process(void)
{
    struct rlimit beyond = {HIGHEST + 2, HIGHEST + 2};
    check_errno("more than nr_open", setrlimit(RLIMIT_NOFILE, &beyond), EPERM);
    check_value("a limit of 20", limit_files(20), 0);
    int n = 0, fd;
    while ((fd = dup(0)) >= 0)
        n = fd;
    check_errno("all in use", fd, EMFILE);
    check_value("the last", n, 19);
    check_errno("dup2 beyond", dup2(0, 20), EBADF);
    check_errno("F_DUPFD beyond", fcntl(0, F_DUPFD, 20), EINVAL);
    check_errno("an epoll", epoll_create1(0), EMFILE);
    for (fd = 3; fd < 20; fd++)
        close(fd);
}

static void limit_of_a_user(void)
{
    long usual = read_number(watches);
    check("some are allowed", usual > 10000, "too few");
    write_number(watches, 2);
    int ep = epoll_create1(0);
    for (int i = 0; i < 3; i++)
        fds[i] = eventfd(0, 0);
    check_value("first watch", add(ep, fds[0]), 0);
    check_value("second watch", add(ep, fds[1]), 0);
    check_errno("third watch", add(ep, fds[2]), ENOSPC);
    check_value("one less", epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], NULL), 0);
    check_value("third watch again", add(ep, fds[2]), 0);
    close(fds[1]);
    check_value("a closed one is not counted", add(ep, fds[0]), 0);
    close(fds[0]);
    close(fds[2]);
    close(ep);
    write_number(watches, usual);
}

static void very_many(void)
{
    struct epoll_event got[8];
    long files = read_number(file_max), usual = read_number(watches);
    write_number(file_max, 2 * count);
    write_number(watches, 2 * count);
    check_value("room for them", limit_files(count + SPARE), 0);
    int ep = epoll_create1(0), made = 0, added = 0, right = 0;
    for (int i = 0; i < count; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        made += fds[i] >= 0;
        added += add(ep, fds[i]) == 0;
    }
    check_value("made", made, count);
    check_value("added", added, count);
    check_value("none is ready", epoll_wait(ep, got, 8, 0), 0);
    for (int i = 0; i < count; i += 997) {
        eventfd_t v;
        eventfd_write(fds[i], 1);
        right += epoll_wait(ep, got, 8, -1) == 1 && got[0].data.fd == fds[i];
        eventfd_read(fds[i], &v);
    }
    check_value("each is found", right, (count + 996) / 997);
    for (int i = 0; i < count; i += 2)
        close(fds[i]);
    eventfd_write(fds[count - 1], 1);
    check_value("half are closed", epoll_wait(ep, got, 8, -1), 1);
    for (int i = 1; i < count; i += 2)
        close(fds[i]);
    check_value("all are closed", epoll_wait(ep, got, 8, 0), 0);
    close(ep);
    write_number(watches, usual);
    write_number(file_max, files);
}

static void the_highest(void)
{
    int status;
    check_value("as many as may be", limit_files(HIGHEST + 1), 0);
    check_value("the highest", dup2(1, HIGHEST), HIGHEST);
    check_errno("one more", dup2(1, HIGHEST + 1), EBADF);
    pid_t pid = fork();
    if (!pid)
        _exit(fcntl(HIGHEST, F_GETFD) != 0);
    waitpid(pid, &status, 0);
    check_value("a child has it", status, 0);
    check_value("close", close(HIGHEST), 0);
    check_value("back to few", limit_files(1024), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && atoi(argv[1]) > 0 && atoi(argv[1]) < MOST)
        count = atoi(argv[1]);
    line_output();
    limit_of_a_process();
    limit_of_a_user();
    very_many();
    the_highest();
    puts(failures ? "some failed" : "all ok");
    return failures != 0;
}
