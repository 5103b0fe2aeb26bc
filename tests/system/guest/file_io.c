// SPDX-License-Identifier: MIT
// Descriptors, pipes, FIFOs, poll, select, eventfd, sendfile: results, blocking and errors. argv[1]: a directory of its own.
#include "guest_test.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static volatile sig_atomic_t signalled;
static void on_signal(int sig)
{
    signalled = sig;
}

static void check_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR), other;
    other = dup(fd);
    check("dup gives the lowest", other == fd + 1, NULL);
    check_value("dup2", dup2(fd, 50), 50);
    check_value("dup2 to itself", dup2(50, 50), 50);
    check_errno("dup2 of nothing", dup2(51, 52), EBADF);
    check_errno("dup3 to itself", syscall(SYS_dup3, 50, 50, 0), EINVAL);
    check_value("dup3", syscall(SYS_dup3, fd, 60, O_CLOEXEC), 60);
    check_value("FD_CLOEXEC", fcntl(60, F_GETFD), FD_CLOEXEC);
    check_value("F_SETFD", fcntl(60, F_SETFD, 0), 0);
    check_value("cleared", fcntl(60, F_GETFD), 0);
    check_value("F_DUPFD", fcntl(fd, F_DUPFD, 100), 100);
    check_value("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 100), 101);
    check_value("its flag", fcntl(101, F_GETFD), FD_CLOEXEC);
    check_value("F_GETFL", fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    check_value("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    check_value("shared by dup", fcntl(other, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    check_value("close", close(other), 0);
    check_errno("close again", close(other), EBADF);
    check_errno("close -1", close(-1), EBADF);
    check_errno("fcntl of nothing", fcntl(other, F_GETFL), EBADF);
    check_errno("unknown command", fcntl(fd, 9999), EINVAL);
    check_value("close_range", syscall(SYS_close_range, 100, 200, 0), 0);
    check_errno("closed by it", fcntl(100, F_GETFD), EBADF);
    struct rlimit r = {20, 20};
    setrlimit(RLIMIT_NOFILE, &r);
    int n = 0, fds[32];
    while (n < 32 && (fds[n] = dup(fd)) >= 0)
        n++;
    check("RLIMIT_NOFILE", n > 0 && n < 20 && errno == EMFILE, NULL);
    check_errno("dup2 beyond it", dup2(fd, 20), EBADF);
    check_errno("F_DUPFD beyond it", fcntl(fd, F_DUPFD, 20), EINVAL);
    while (n)
        close(fds[--n]);
    for (int i = 50; i < 64; i++)
        close(i);
}

static void check_positions(void)
{
    int fd = open("pos", O_CREAT | O_RDWR, 0600);
    check_value("write", write(fd, "0123456789", 10), 10);
    check_value("SEEK_CUR", lseek(fd, 0, SEEK_CUR), 10);
    check_value("SEEK_SET", lseek(fd, 4, SEEK_SET), 4);
    check_errno("before the start", lseek(fd, -1, SEEK_SET), EINVAL);
    check_errno("bad whence", lseek(fd, 0, 77), EINVAL);
    char a[4] = {0}, b[8] = {0};
    struct iovec v[2] = {{a, 2}, {b, 7}};
    check_value("readv", readv(fd, v, 2), 6);
    check("its pieces", !memcmp(a, "45", 2) && !memcmp(b, "6789", 4), "differ");
    check_value("at the end", read(fd, a, 1), 0);
    check_value("preadv", preadv(fd, v, 2, 1), 9);
    check_value("position kept", lseek(fd, 0, SEEK_CUR), 10);
    check_errno("pread negative", pread(fd, a, 1, -1), EINVAL);
    check_errno("readv of too many", readv(fd, v, 2000), EINVAL);
    struct iovec bad = {a, (size_t)-1};
    check_errno("negative length", readv(fd, &bad, 1), EINVAL);
    check_errno("bad buffer", pread(fd, (void *)8, 4, 0), EFAULT);
    check_errno("bad array", readv(fd, (void *)8, 1), EFAULT);
    check_errno("kernel buffer", write(fd, (void *)0xffff800000000000, 4), EFAULT);
    check_value("nothing at all", write(fd, NULL, 0), 0);
    int copy = dup(fd);
    lseek(fd, 3, SEEK_SET);
    check_value("dup shares the position", lseek(copy, 0, SEEK_CUR), 3);
    close(copy);
    int out = open("copy", O_CREAT | O_RDWR, 0600);
    off_t off = 2;
    check_value("sendfile", sendfile(out, fd, &off, 100), 8);
    check_value("its offset", off, 10);
    check_value("position untouched", lseek(fd, 0, SEEK_CUR), 3);
    check_value("sendfile at position", sendfile(out, fd, NULL, 2), 2);
    check_value("position moved", lseek(fd, 0, SEEK_CUR), 5);
    check_value("copied", pread(out, b, 8, 0), 8);
    check("contents", !memcmp(b, "23456789", 8), "differ");
    close(out);
    close(fd);
}

static void check_pipes(void)
{
    int p[2];
    char buf[8192];
    check_value("pipe2", pipe2(p, O_CLOEXEC), 0);
    check_value("cloexec", fcntl(p[0], F_GETFD), FD_CLOEXEC);
    check_errno("pipe2 flags", pipe2(p, 0x1000000), EINVAL);
    check_errno("pipe pointer", syscall(SYS_pipe, (void *)8), EFAULT);
    check_errno("lseek", lseek(p[0], 0, SEEK_CUR), ESPIPE);
    check_errno("pread", pread(p[0], buf, 1, 0), ESPIPE);
    check_errno("write to the read end", write(p[0], "x", 1), EBADF);
    check_errno("read from the write end", read(p[1], buf, 1), EBADF);
    check_value("write", write(p[1], "abc", 3), 3);
    int n;
    ioctl(p[0], FIONREAD, &n);
    check_value("FIONREAD", n, 3);
    check_value("short read", read(p[0], buf, 2), 2);
    check_value("the rest", read(p[0], buf, 100), 1);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    check_errno("empty", read(p[0], buf, 1), EAGAIN);
    long total = 0, r;
    memset(buf, 'x', sizeof buf);
    while ((r = write(p[1], buf, 4096)) > 0)
        total += r;
    check_value("capacity", total, 65536);
    check_errno("full", write(p[1], buf, 1), EAGAIN);
    check_value("make room", read(p[0], buf, 4096), 4096);
    check_value("partial write", write(p[1], buf, 8192), 4096);
    check_value("F_GETPIPE_SZ", fcntl(p[0], 1032), 65536);
    check_value("F_SETPIPE_SZ", fcntl(p[0], 1031, 100000), 131072);
    for (total = 0; (r = read(p[0], buf, 1000)) > 0;)
        total += r;
    check_value("drained", total, 65536);
    close(p[1]);
    check_value("end of file", read(p[0], buf, 1), 0);
    close(p[0]);
    pipe(p);
    close(p[0]);
    signal(SIGPIPE, on_signal);
    check_errno("no reader", write(p[1], "x", 1), EPIPE);
    check_value("SIGPIPE", signalled, SIGPIPE);
    close(p[1]);
    pipe(p);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        wait_until_asleep(parent);
        write(p[1], "late", 4);
        _exit(0);
    }
    check_value("blocking read", read(p[0], buf, 10), 4);
    waitpid(pid, NULL, 0);
    memset(buf, 'y', sizeof buf);
    for (total = 0; total < 65536;)
        total += write(p[1], buf, 8192);
    pid = fork();
    if (pid == 0) {
        wait_until_asleep(parent);
        read(p[0], buf, sizeof buf);
        _exit(0);
    }
    check_value("blocking write", write(p[1], buf, 1000), 1000);
    waitpid(pid, NULL, 0);
    close(p[0]);
    close(p[1]);
}

static void check_transfer(void)
{
    int p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned char out[5003];
        unsigned long seq = 0;
        close(p[0]);
        for (int round = 0; round < 400; round++) {
            size_t n = (size_t)(round * 37 % 5000 + 1);
            for (size_t i = 0; i < n; i++)
                out[i] = (unsigned char)(seq++ * 31 >> 3);
            for (size_t at = 0; at < n;)
                at += (size_t)write(p[1], out + at, n - at);
        }
        _exit(0);
    }
    close(p[1]);
    static unsigned char in[7001];
    unsigned long seq = 0, wrong = 0;
    long n;
    while ((n = read(p[0], in, seq % 7000 + 1)) > 0)
        for (long i = 0; i < n; i++)
            wrong += in[i] != (unsigned char)(seq++ * 31 >> 3);
    unsigned long sum = 0;
    for (int round = 0; round < 400; round++)
        sum += (unsigned long)(round * 37 % 5000 + 1);
    check_value("bytes through a pipe", (long)seq, (long)sum);
    check_value("damaged", (long)wrong, 0);
    waitpid(pid, NULL, 0);
    close(p[0]);
}

static void check_fifo(void)
{
    mkfifo("fifo", 0600);
    check_errno("no reader", open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    int r = open("fifo", O_RDONLY | O_NONBLOCK);
    char buf[16];
    check("reader", r >= 0, NULL);
    check_value("no writer: end of file", read(r, buf, 1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int w = open("fifo", O_WRONLY);
        _exit(write(w, "through", 7) != 7);
    }
    int status;
    waitpid(pid, &status, 0);
    check_value("writer", status, 0);
    check_value("data stays while a reader is there", read(r, buf, 16), 7);
    close(r);
    pid_t parent = getpid();
    pid = fork();
    if (pid == 0) {
        wait_until_asleep(parent);
        int w = open("fifo", O_WRONLY);
        _exit(write(w, "hello", 5) != 5);
    }
    r = open("fifo", O_RDONLY);
    check_value("blocking open", read(r, buf, 16), 5);
    waitpid(pid, NULL, 0);
    close(r);
}

static void check_poll(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    struct pollfd f[3] = {{p[0], POLLIN, 0}, {q[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    check_value("poll", poll(f, 3, 0), 1);
    check("its events", f[0].revents == 0 && f[1].revents == POLLOUT && f[2].revents == 0,
          "differ");
    double start = now();
    check_value("time-out", poll(f, 1, 60), 0);
    check("it waited", now() - start >= 0.059, "too short");
    f[2].fd = 999;
    check_value("bad descriptor", poll(f, 3, -1), 2);
    check_value("POLLNVAL", f[2].revents, POLLNVAL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        wait_until_asleep(parent);
        write(p[1], "x", 1);
        _exit(0);
    }
    check_value("wakes", poll(f, 1, PATIENCE_MS), 1);
    check_value("POLLIN", f[0].revents, POLLIN);
    waitpid(pid, NULL, 0);
    char c;
    read(p[0], &c, 1);
    close(p[1]);
    check_value("hang-up", poll(f, 1, -1), 1);
    check_value("POLLHUP", f[0].revents, POLLHUP);
    close(q[0]);
    f[0].fd = q[1];
    f[0].events = POLLOUT;
    check_value("no reader", poll(f, 1, -1), 1);
    check_value("POLLERR", f[0].revents, POLLOUT | POLLERR);
    int file = open("pos", O_RDONLY);
    f[0].fd = file;
    f[0].events = POLLIN | POLLOUT;
    check_value("files are ready", poll(f, 1, -1), 1);
    check_value("both ways", f[0].revents, POLLIN | POLLOUT);
    check_errno("bad array", poll((void *)8, 1, 0), EFAULT);
    close(file);
    close(q[1]);
    close(p[0]);
}

static void check_select(void)
{
    int p[2];
    pipe(p);
    fd_set in, out;
    struct timeval tv = {0, 50000};
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    double start = now();
    check_value("select time-out", select(p[0] + 1, &in, NULL, NULL, &tv), 0);
    check("it waited", now() - start >= 0.049, "too short");
    check("set is empty", !FD_ISSET(p[0], &in), "no");
    write(p[1], "x", 1);
    FD_SET(p[0], &in);
    FD_ZERO(&out);
    FD_SET(p[1], &out);
    check_value("select", select(p[1] + 1, &in, &out, NULL, NULL), 2);
    check("bits", FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out), "differ");
    FD_ZERO(&in);
    FD_SET(900, &in);
    tv.tv_sec = 0;
    check_errno("negative n", select(-1, &in, NULL, NULL, &tv), EINVAL);
    FD_ZERO(&in);
    FD_SET(19, &in);
    check_errno("closed descriptor", select(20, &in, NULL, NULL, &tv), EBADF);
    signal(SIGALRM, on_signal);
    char c;
    read(p[0], &c, 1);
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    alarm_every_ms(30);
    check_errno("interrupted", select(p[0] + 1, &in, NULL, NULL, NULL), EINTR);
    alarm_every_ms(0);
    check_value("by its signal", signalled, SIGALRM);
    close(p[0]);
    close(p[1]);
}

static void check_eventfd(void)
{
    int fd = eventfd(3, EFD_NONBLOCK);
    unsigned long long v = 4;
    check_value("write", write(fd, &v, 8), 8);
    check_value("read", read(fd, &v, 8), 8);
    check_value("sum", (long)v, 7);
    check_errno("empty", read(fd, &v, 8), EAGAIN);
    check_errno("short", read(fd, &v, 4), EINVAL);
    v = ~0ull;
    check_errno("too much", write(fd, &v, 8), EINVAL);
    struct pollfd f = {fd, POLLIN | POLLOUT, 0};
    poll(&f, 1, 0);
    check_value("poll", f.revents, POLLOUT);
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE);
    read(fd, &v, 8);
    check_value("semaphore", (long)v, 1);
    close(fd);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || mkdir(argv[1], 0755) < 0 || chdir(argv[1]) < 0) {
        perror("directory");
        return 1;
    }
    check_positions();
    check_pipes();
    check_transfer();
    check_fifo();
    check_poll();
    check_select();
    check_eventfd();
    check_descriptors(); // lowers the limit of descriptors
    printf(failures ? "%d failed\n" : "all ok\n", failures);
    return failures != 0;
}
