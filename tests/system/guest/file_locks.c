// SPDX-License-Identifier: MIT
// fcntl record locks, open-file-description locks, flock, /proc/locks: conflicts, splitting, waiting, deadlock, release. argv[1]: a
// directory of its own.
#include "guest_test.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static struct flock range(short type, off_t start, off_t len)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static int lock(int fd, int cmd, short type, off_t start, off_t len)
{
    struct flock l = range(type, start, len);
    return fcntl(fd, cmd, &l);
}

/// Run `what` in a child of its own; its exit status.
static int in_child(int (*what)(int fd), int fd)
{
    fflush(stdout);
    pid_t pid = fork();
    if (!pid)
        _exit(what(fd));
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// What another process finds in its way at `probe_start`.
static off_t probe_start;
static int probe_write(int fd)
{
    struct flock l = range(F_WRLCK, probe_start, 1);
    if (fcntl(fd, F_GETLK, &l) < 0)
        return 1;
    if (l.l_type == F_UNLCK)
        return 2;
    if (l.l_pid != getppid())
        return 5;
    return l.l_type == F_RDLCK ? 3 : 4;
}

static int probe(int fd, off_t at)
{
    probe_start = at;
    return in_child(probe_write, fd);
}

enum { FREE = 2, READ_LOCKED = 3, WRITE_LOCKED = 4 };

static void check_ranges(int fd)
{
    check_value("write lock", lock(fd, F_SETLK, F_WRLCK, 10, 10), 0);
    check_value("before it", probe(fd, 9), FREE);
    check_value("its start", probe(fd, 10), WRITE_LOCKED);
    check_value("its end", probe(fd, 19), WRITE_LOCKED);
    check_value("behind it", probe(fd, 20), FREE);
    check_value("unlock the middle", lock(fd, F_SETLK, F_UNLCK, 13, 2), 0);
    check_value("left of the hole", probe(fd, 12), WRITE_LOCKED);
    check_value("in the hole", probe(fd, 13), FREE);
    check_value("right of the hole", probe(fd, 15), WRITE_LOCKED);
    check_value("read lock over all", lock(fd, F_SETLK, F_RDLCK, 5, 20), 0);
    check_value("became one", probe(fd, 12), READ_LOCKED);
    check_value("neighbour", lock(fd, F_SETLK, F_RDLCK, 25, 5), 0);
    check_value("grew", probe(fd, 29), READ_LOCKED);
    check_value("upgrade a part", lock(fd, F_SETLK, F_WRLCK, 8, 2), 0);
    check_value("the part", probe(fd, 9), WRITE_LOCKED);
    check_value("the rest", probe(fd, 10), READ_LOCKED);
    check_value("to the end of all", lock(fd, F_SETLK, F_WRLCK, 100, 0), 0);
    check_value("far away", probe(fd, (off_t)1 << 60), WRITE_LOCKED);
    check_value("negative length", lock(fd, F_SETLK, F_RDLCK, 60, -10), 0);
    check_value("begins before", probe(fd, 50), READ_LOCKED);
    check_value("ends before", probe(fd, 60), FREE);
    lseek(fd, 70, SEEK_SET);
    struct flock here = {.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = -2, .l_len = 2};
    check_value("from the position", fcntl(fd, F_SETLK, &here), 0);
    check_value("is there", probe(fd, 68), READ_LOCKED);
    here.l_whence = SEEK_END;
    here.l_start = 200;
    here.l_type = F_WRLCK;
    check_value("from the end", fcntl(fd, F_SETLK, &here), 0);
    int other = open("locked", O_RDWR);
    close(other);
    check_value("any close gives all back", probe(fd, 12), FREE);
}

static void check_lock_errors(int fd)
{
    int ro = open("locked", O_RDONLY), wo = open("locked", O_WRONLY), p[2];
    struct flock l = range(F_RDLCK, 0, 0);
    check_errno("bad descriptor", fcntl(-1, F_SETLK, &l), EBADF);
    check_errno("bad pointer", fcntl(fd, F_SETLK, (void *)8), EFAULT);
    check_errno("bad type", lock(fd, F_SETLK, 7, 0, 0), EINVAL);
    check_errno("test of no lock", lock(fd, F_GETLK, F_UNLCK, 0, 0), EINVAL);
    check_errno("before the start", lock(fd, F_SETLK, F_RDLCK, -1, 1), EINVAL);
    check_errno("length before the start", lock(fd, F_SETLK, F_RDLCK, 5, -6), EINVAL);
    check_errno("beyond all", lock(fd, F_SETLK, F_RDLCK, 0x7fffffffffffffff, 2), EOVERFLOW);
    l.l_whence = 9;
    check_errno("bad whence", fcntl(fd, F_SETLK, &l), EINVAL);
    check_errno("read lock on a write-only file", lock(wo, F_SETLK, F_RDLCK, 0, 0), EBADF);
    check_errno("write lock on a read-only file", lock(ro, F_SETLK, F_WRLCK, 0, 0), EBADF);
    check_value("testing needs neither", lock(ro, F_GETLK, F_WRLCK, 0, 0), 0);
    check_value("unlock of nothing", lock(fd, F_SETLK, F_UNLCK, 0, 0), 0);
    l = range(F_RDLCK, 0, 0);
    l.l_pid = 1;
    check_errno("OFD with a pid", fcntl(fd, F_OFD_SETLK, &l), EINVAL);
    check_value("pipe", pipe(p), 0);
    check_value("lock on a pipe", lock(p[0], F_SETLK, F_RDLCK, 0, 0), 0);
    check_errno("flock of nothing", flock(99, LOCK_SH), EBADF);
    check_errno("flock with no operation", flock(fd, 0), EINVAL);
    check_errno("flock with two", flock(fd, LOCK_SH | LOCK_EX), EINVAL);
    int path = open("locked", O_PATH);
    check_errno("flock of a path", flock(path, LOCK_SH), EBADF);
    close(path);
    close(ro);
    close(wo);
    close(p[0]);
    close(p[1]);
}

static int try_write(int fd)
{
    return lock(fd, F_SETLK, F_WRLCK, 0, 1) ? errno : 0;
}
static int wait_write(int fd)
{
    return lock(fd, F_SETLKW, F_WRLCK, 0, 1) ? errno : 0;
}

static void no_action(int sig)
{
    (void)sig;
}

/// The child's lock meets ours: refused, waited for, interrupted.
static void check_waiting(int fd)
{
    check_value("take it", lock(fd, F_SETLK, F_WRLCK, 0, 1), 0);
    check_value("taken already", in_child(try_write, fd), EAGAIN);
    int go[2], status;
    char c;
    pipe(go);
    pid_t pid = fork();
    if (!pid) {
        struct sigaction a = {.sa_handler = no_action};
        sigaction(SIGUSR1, &a, NULL);
        write(go[1], "x", 1);
        int first = wait_write(fd); // EINTR
        signal(SIGUSR1, SIG_IGN);   // the parent may send another before it reads this
        write(go[1], "y", 1);
        int second = wait_write(fd);
        _exit(first == EINTR && second == 0 ? 0 : 1);
    }
    read(go[0], &c, 1);
    // Whenever the signal meets the child outside the wait, the next one will not.
    fcntl(go[0], F_SETFL, O_NONBLOCK);
    do {
        kill(pid, SIGUSR1);
        sleep_ms(20);
    } while (read(go[0], &c, 1) != 1);
    check_value("give it back", lock(fd, F_SETLK, F_UNLCK, 0, 1), 0);
    waitpid(pid, &status, 0);
    check_value("the waiter got it", status, 0);
    check_value("and its exit gave it back", in_child(try_write, fd), 0);
    close(go[0]);
    close(go[1]);
}

/// Two processes, each waiting for the other's byte: the second to ask is told.
static void check_deadlock(int fd)
{
    int ready[2], status;
    char c;
    pipe(ready);
    check_value("our byte", lock(fd, F_SETLK, F_WRLCK, 0, 1), 0);
    pid_t pid = fork();
    if (!pid) {
        lock(fd, F_SETLK, F_WRLCK, 1, 1);
        write(ready[1], "x", 1);
        _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1) ? errno : 0);
    }
    read(ready[0], &c, 1);
    int r;
    // Until the child waits, asking without waiting finds its byte taken; then waiting would be for ever.
    FILE *f;
    char line[128];
    for (int waits = 0; !waits;) {
        f = fopen("/proc/locks", "r");
        while (fgets(line, sizeof line, f))
            waits |= strstr(line, "->") != NULL;
        fclose(f);
    }
    r = lock(fd, F_SETLKW, F_WRLCK, 1, 1);
    check_errno("deadlock", r, EDEADLK);
    lock(fd, F_SETLK, F_UNLCK, 0, 0);
    waitpid(pid, &status, 0);
    check_value("the other one got it", status, 0);
    close(ready[0]);
    close(ready[1]);
}

static int try_flock_ex(int fd)
{
    (void)fd;
    int own = open("locked", O_RDWR);
    return flock(own, LOCK_EX | LOCK_NB) ? errno : 0;
}
static int try_flock_sh(int fd)
{
    (void)fd;
    int own = open("locked", O_RDWR);
    return flock(own, LOCK_SH | LOCK_NB) ? errno : 0;
}
static int unlock_inherited(int fd)
{
    return flock(fd, LOCK_UN) ? errno : 0;
}

static void check_flock(int fd)
{
    int copy = dup(fd), other = open("locked", O_RDONLY);
    check_value("shared", flock(fd, LOCK_SH), 0);
    check_value("another shared", flock(other, LOCK_SH | LOCK_NB), 0);
    check_errno("no exclusive", flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    check_value("the attempt gave the shared one back", flock(fd, LOCK_EX | LOCK_NB), 0);
    check_value("child finds it", in_child(try_flock_sh, fd), EWOULDBLOCK);
    check_value("again is nothing", flock(copy, LOCK_EX | LOCK_NB), 0);
    check_value("record locks are another matter", in_child(try_write, fd), 0);
    close(fd);
    check_value("a copy keeps it", in_child(try_flock_ex, copy), EWOULDBLOCK);
    check_value("the child's copy unlocks", in_child(unlock_inherited, copy), 0);
    check_value("free", in_child(try_flock_ex, copy), 0);
    flock(copy, LOCK_EX);
    close(copy);
    check_value("the last close gives it back", in_child(try_flock_ex, other), 0);
    close(other);
}

static void check_ofd(void)
{
    int a = open("locked", O_RDWR), b = open("locked", O_RDWR), c = open("locked", O_RDWR);
    check_value("OFD lock", lock(a, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
    check_errno("against the same process", lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    check_errno("against its POSIX locks", lock(b, F_SETLK, F_RDLCK, 5, 1), EAGAIN);
    struct flock l = range(F_RDLCK, 0, 0);
    check_value("test", fcntl(b, F_OFD_GETLK, &l), 0);
    check("nobody's pid", l.l_pid == -1 && l.l_type == F_WRLCK && l.l_len == 10, "differs");
    close(c);
    check_errno("another close leaves it", lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
    close(a);
    check_value("its own does not", lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), 0);
    close(b);
}

/// /proc/locks shows our three locks of one file, the newest first.
static void check_proc_locks(int fd)
{
    static const char *const wanted[] = {"FLOCK WRITE 0 EOF", "POSIX READ 100 EOF",
                                         "POSIX WRITE 5 14"};
    struct stat st;
    char line[128], kind[8], type[8], device[32], end[24], text[64];
    int next = 0, pid;
    long start;
    fstat(fd, &st);
    lock(fd, F_SETLK, F_WRLCK, 5, 10);
    lock(fd, F_SETLK, F_RDLCK, 100, 0);
    flock(fd, LOCK_EX);
    FILE *f = fopen("/proc/locks", "r");
    // Newer kernels show one CPU's list after the other: this program stays on one CPU, so its locks keep their order.
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*d: %7s ADVISORY %7s %d %31s %ld %23s", kind, type, &pid, device, &start,
                   end) != 6 ||
            pid != getpid() || strtoul(strrchr(device, ':') + 1, NULL, 10) != st.st_ino)
            continue;
        snprintf(text, sizeof text, "%s %s %ld %s", kind, type, start, end);
        next += next < 3 && !strcmp(text, wanted[next]);
    }
    if (f)
        fclose(f);
    check_value("/proc/locks", next, 3);
    close(fd);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
        perror("directory");
        return 1;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    int fd = open("locked", O_CREAT | O_RDWR, 0600);
    check_ranges(fd);
    check_lock_errors(fd);
    check_waiting(fd);
    check_deadlock(fd);
    check_flock(fd);
    check_ofd();
    check_proc_locks(open("locked", O_RDWR));
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
