// SPDX-License-Identifier: MIT
// inotify: which events come for what, cookies, one-shot and changed watches, overflow, limits, errors. argv[1]: a directory of its own.
#include "guest_test.h"

#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

static int queue;

/// The event's bits as short words.
static const char *words(uint32_t mask)
{
    static const char *const names[] = {"ACCESS", "MODIFY",  "ATTRIB",      "CLOSE_WRITE",
                                        "CLOSE",  "OPEN",    "MOVED_FROM",  "MOVED_TO",
                                        "CREATE", "DELETE",  "DELETE_SELF", "MOVE_SELF",
                                        NULL,     "UNMOUNT", "OVERFLOW",    "IGNORED"};
    static char text[64];
    *text = 0;
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            strcat(text, names[i] ? names[i] : "?");
    if (mask & IN_ISDIR)
        strcat(text, "+DIR");
    return text;
}

static uint32_t last_cookie;

/// All that is queued for watch `wd` (0: for any), as "OPEN CLOSE:name …"; other watches' events are dropped.
static const char *events(int wd)
{
    static char all[2048], data[16384] __attribute__((aligned(8)));
    ssize_t n;
    *all = 0;
    while ((n = read(queue, data, sizeof data)) > 0)
        for (char *at = data; at < data + n;) {
            struct inotify_event *e = (struct inotify_event *)at;
            at += sizeof *e + e->len;
            if (wd && e->wd != wd)
                continue;
            if (e->cookie)
                last_cookie = e->cookie;
            char one[128];
            snprintf(one, sizeof one, "%s%s%s%.80s", *all ? " " : "", words(e->mask),
                     e->len ? ":" : "", e->len ? e->name : "");
            if (strlen(all) + strlen(one) < sizeof all)
                strcat(all, one);
        }
    return all;
}

static void expect(const char *name, int wd, const char *wanted)
{
    char text[2200];
    const char *got = events(wd);
    snprintf(text, sizeof text, "got \"%s\", wanted \"%s\"", got, wanted);
    check(name, !strcmp(got, wanted), text);
}

static void check_file(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    int wd = inotify_add_watch(queue, "f", IN_ALL_EVENTS);
    check("watch", wd > 0, NULL);
    char buf[8];
    write(fd, "12345", 5);
    write(fd, "6", 1);
    expect("writes are one", wd, "MODIFY");
    pread(fd, buf, 4, 0);
    expect("read", wd, "ACCESS");
    pread(fd, buf, 4, 100);
    expect("read of nothing", wd, "");
    fchmod(fd, 0600);
    expect("chmod", wd, "ATTRIB");
    ftruncate(fd, 2);
    expect("truncate", wd, "MODIFY");
    close(fd);
    expect("close", wd, "CLOSE_WRITE");
    close(open("f", O_RDONLY));
    expect("open and close", wd, "OPEN CLOSE");
    int cut = open("f", O_WRONLY | O_TRUNC);
    const char *opened = events(wd); // recent Linux changed the order
    check("truncating open", strstr(opened, "MODIFY") && strstr(opened, "OPEN"), opened);
    close(cut);
    events(wd);
    close(open("f", O_PATH));
    expect("a path only", wd, "");
    struct timespec t[2] = {{1, 0}, {.tv_nsec = UTIME_OMIT}};
    utimensat(AT_FDCWD, "f", NULL, 0);
    expect("both times", wd, "ATTRIB");
    utimensat(AT_FDCWD, "f", t, 0);
    expect("access time", wd, "ACCESS");
    link("f", "f2");
    expect("link", wd, "ATTRIB");
    rename("f2", "f3");
    expect("rename", wd, "MOVE_SELF");
    unlink("f3");
    expect("unlink of one name", wd, "ATTRIB");
    unlink("f");
    expect("unlink of the last", wd, "ATTRIB DELETE_SELF IGNORED");
    check_errno("the watch is gone", inotify_rm_watch(queue, wd), EINVAL);
}

static void check_directory(void)
{
    mkdir("d", 0755);
    mkdir("other", 0755);
    int wd = inotify_add_watch(queue, "d", IN_ALL_EVENTS);
    int fd = open("d/a", O_CREAT | O_RDWR, 0644);
    expect("create", wd, "CREATE:a OPEN:a");
    write(fd, "x", 1);
    close(fd);
    expect("write in it", wd, "MODIFY:a CLOSE_WRITE:a");
    mkdir("d/sub", 0755);
    expect("mkdir", wd, "CREATE+DIR:sub");
    closedir(opendir("d"));
    expect("open the directory", wd, "OPEN+DIR CLOSE+DIR");
    chmod("d/sub", 0700);
    expect("chmod in it", wd, "ATTRIB+DIR:sub");
    symlink("a", "d/l");
    link("d/a", "d/hard");
    mkfifo("d/fifo", 0600);
    expect("other kinds", wd, "CREATE:l CREATE:hard CREATE:fifo");
    last_cookie = 0;
    rename("d/a", "d/b");
    expect("rename within", wd, "MOVED_FROM:a MOVED_TO:b");
    check("a cookie", last_cookie != 0, "none");
    uint32_t first = last_cookie;
    rename("d/b", "other/b");
    expect("rename out", wd, "MOVED_FROM:b");
    check("another cookie", last_cookie != first, "the same");
    rename("other", "d/other");
    expect("rename in", wd, "MOVED_TO+DIR:other");
    unlink("d/l");
    unlink("d/hard");
    unlink("d/fifo");
    rmdir("d/sub");
    expect("removals", wd, "DELETE:l DELETE:hard DELETE:fifo DELETE+DIR:sub");
    unlink("d/other/b");
    expect("deeper down", wd, "");
    rmdir("d/other");
    expect("rmdir", wd, "DELETE+DIR:other");
    rename("d", "d2");
    expect("renamed itself", wd, "MOVE_SELF");
    rmdir("d2");
    expect("removed itself", wd, "DELETE_SELF IGNORED");
}

static void check_masks(void)
{
    mkdir("m", 0755);
    int wd = inotify_add_watch(queue, "m", IN_CREATE);
    check_value("the same watch", inotify_add_watch(queue, "m", IN_DELETE), wd);
    close(open("m/a", O_CREAT | O_WRONLY, 0600));
    expect("mask replaced", wd, "");
    unlink("m/a");
    expect("by this one", wd, "DELETE:a");
    check_value("add", inotify_add_watch(queue, "m", IN_CREATE | IN_MASK_ADD), wd);
    close(open("m/a", O_CREAT | O_WRONLY, 0600));
    unlink("m/a");
    expect("both", wd, "CREATE:a DELETE:a");
    check_value("once", inotify_add_watch(queue, "m", IN_CREATE | IN_ONESHOT), wd);
    close(open("m/a", O_CREAT | O_WRONLY, 0600));
    close(open("m/b", O_CREAT | O_WRONLY, 0600));
    expect("one shot", wd, "CREATE:a IGNORED");
    int next = inotify_add_watch(queue, "m", IN_ALL_EVENTS | IN_EXCL_UNLINK);
    check("a new number", next > wd, "not greater");
    int fd = open("m/a", O_RDWR);
    unlink("m/a");
    events(0);
    write(fd, "x", 1);
    close(fd);
    expect("nothing of the unlinked", next, "");
    check_value("remove", inotify_rm_watch(queue, next), 0);
    expect("is told", next, "IGNORED");
    unlink("m/b");
    expect("and then nothing", next, "");
}

static void check_reading(void)
{
    char small[20];
    int n = -1, wd = inotify_add_watch(queue, ".", IN_CREATE);
    struct pollfd p = {queue, POLLIN, 0};
    check_errno("nothing there", read(queue, small, sizeof small), EAGAIN);
    check_value("poll says so", poll(&p, 1, 0), 0);
    close(open("seventeen_letters", O_CREAT | O_WRONLY, 0600));
    check_value("poll", poll(&p, 1, 0), 1);
    check_value("FIONREAD", ioctl(queue, FIONREAD, &n), 0);
    check_value("its bytes", n, 16 + 32);
    check_errno("buffer too small", read(queue, small, sizeof small), EINVAL);
    expect("still there", wd, "CREATE:seventeen_letters");
    unlink("seventeen_letters");
    inotify_rm_watch(queue, wd);
    events(0);
}

static void check_overflow(void)
{
    int limit = 0, last = 0, seen = 0;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    check("limit", f && fscanf(f, "%d", &limit) == 1, NULL);
    if (f)
        fclose(f);
    int wd = inotify_add_watch(queue, ".", IN_ATTRIB);
    close(open("x", O_CREAT | O_WRONLY, 0600));
    close(open("y", O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < limit + 10; i++)
        chmod(i % 2 ? "x" : "y", 0600); // two names, so that no two in a row are the same
    char data[4096] __attribute__((aligned(8)));
    ssize_t n;
    while ((n = read(queue, data, sizeof data)) > 0)
        for (char *at = data; at < data + n;) {
            struct inotify_event *e = (struct inotify_event *)at;
            at += sizeof *e + e->len;
            last = e->mask & IN_Q_OVERFLOW && e->wd == -1;
            seen++;
        }
    check_value("as many as the limit, and a word on the rest", seen, limit + 1);
    check("overflow comes last", last, "another");
    chmod("x", 0600);
    expect("and it goes on", wd, "ATTRIB:x");
    inotify_rm_watch(queue, wd);
    events(0);
}

static void check_errors(void)
{
    int pipes[2];
    pipe(pipes);
    check_errno("flags", inotify_init1(1), EINVAL);
    check_errno("no events", inotify_add_watch(queue, ".", 0), EINVAL);
    check_errno("bad descriptor", inotify_add_watch(99, ".", IN_OPEN), EBADF);
    check_errno("not inotify", inotify_add_watch(pipes[0], ".", IN_OPEN), EINVAL);
    check_errno("no such file", inotify_add_watch(queue, "none", IN_OPEN), ENOENT);
    check_errno("bad pointer", inotify_add_watch(queue, (const char *)8, IN_OPEN), EFAULT);
    check_errno("not a directory", inotify_add_watch(queue, "x", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    check_errno("no such watch", inotify_rm_watch(queue, 9999), EINVAL);
    check_errno("rm of a pipe", inotify_rm_watch(pipes[0], 1), EINVAL);
    check_errno("write", write(queue, "x", 1), EBADF);
    check_value("it has no position", lseek(queue, 0, SEEK_SET), 0);
    symlink("none", "dangling");
    check_errno("dangling link", inotify_add_watch(queue, "dangling", IN_OPEN), ENOENT);
    check("the link itself", inotify_add_watch(queue, "dangling", IN_OPEN | IN_DONT_FOLLOW) > 0,
          NULL);
    int n = 0, fds[400];
    while (n < 400 && (fds[n] = inotify_init1(0)) >= 0)
        n++;
    check("instances are limited", n > 0 && n < 400 && errno == EMFILE, NULL);
    while (n)
        close(fds[--n]);
    close(pipes[0]);
    close(pipes[1]);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
        perror("directory");
        return 1;
    }
    queue = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    check("inotify_init1", queue >= 0, NULL);
    check_value("close on exec", fcntl(queue, F_GETFD), FD_CLOEXEC);
    check_file();
    check_directory();
    check_masks();
    check_reading();
    check_overflow();
    check_errors();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
