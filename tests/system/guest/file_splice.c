// SPDX-License-Identifier: MIT
// splice, tee, vmsplice, and pipes that keep packets (O_DIRECT): what moves, what stays, what waits, errors. argv[1]: a directory of
// its own.
#include "guest_test.h"

#include <poll.h>
#include <sys/stat.h>

enum { PAGE = 4096, PIPE_PAGES = 16 };
static char page[PAGE], back[PIPE_PAGES * PAGE];

/// A pipe with `text` in it.
static void pipe_with(int p[2], const char *text)
{
    if (pipe(p))
        exit(1);
    write(p[1], text, strlen(text));
}

static void close_pipe(int p[2])
{
    close(p[0]);
    close(p[1]);
}

static int waiting(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

/// The next bytes of `fd` must be `text`.
static void expect(const char *name, int fd, const char *text)
{
    size_t length = strlen(text);
    ssize_t n = read(fd, back, sizeof back - 1);
    back[n > 0 ? n : 0] = 0;
    check(name, n == (ssize_t)length && !strcmp(back, text), back);
}

static void check_files(void)
{
    int p[2], fd = open("f", O_CREAT | O_RDWR, 0600);
    loff_t at = 2;
    pipe_with(p, "");
    write(fd, "0123456789", 10);
    check_value("file to pipe at", splice(fd, &at, p[1], NULL, 4, 0), 4);
    check_value("position moves", at, 6);
    check_value("the file's does not", lseek(fd, 0, SEEK_CUR), 10);
    check_value("at its end", splice(fd, NULL, p[1], NULL, 4, 0), 0);
    lseek(fd, 7, SEEK_SET);
    check_value("file to pipe", splice(fd, NULL, p[1], NULL, 100, 0), 3);
    check_value("its position", lseek(fd, 0, SEEK_CUR), 10);
    at = 20;
    check_value("pipe to file at", splice(p[0], NULL, fd, &at, 5, 0), 5);
    check_value("position moved", at, 25);
    expect("what is left", p[0], "89");
    check_value("pread", pread(fd, back, 10, 18), 7);
    check("a hole and the data",
          !memcmp(back,
                  "\0\0"
                  "23457",
                  7),
          back);
    write(p[1], "tail", 4);
    check_value("pipe to file", splice(p[0], NULL, fd, NULL, 100, SPLICE_F_MOVE | SPLICE_F_MORE),
                4);
    check_value("at its position", lseek(fd, 0, SEEK_CUR), 14);
    close(p[1]);
    check_value("no writers", splice(p[0], NULL, fd, NULL, 100, 0), 0);
    close(p[0]);
    close(fd);
}

static void check_much(void)
{
    int p[2], fd = open("big", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 40; i++) {
        memset(page, 'a' + i % 26, sizeof page);
        write(fd, page, sizeof page);
    }
    lseek(fd, 100, SEEK_SET);
    pipe_with(p, "");
    long n = splice(fd, NULL, p[1], NULL, 40 * PAGE, 0);
    check("a pipe full", n > PAGE && n <= PIPE_PAGES * PAGE, "another amount");
    check_value("is in it", waiting(p[0]), n);
    check_value("read it", read(p[0], back, sizeof back), n);
    int same = 1;
    for (long i = 0; i < n; i++)
        same &= back[i] == 'a' + (i + 100) / PAGE % 26;
    check("the file's data", same, "other data");
    check_value("the file's position", lseek(fd, 0, SEEK_CUR), n + 100);
    close_pipe(p);
    close(fd);
}

static void check_pipes(void)
{
    int a[2], b[2];
    pipe_with(a, "first second");
    pipe_with(b, "");
    check_value("tee", tee(a[0], b[1], 5, 0), 5);
    check_value("nothing was taken", waiting(a[0]), 12);
    write(b[1], "!", 1);
    write(a[1], "?", 1);
    expect("the copy", b[0], "first!");
    check_value("pipe to pipe", splice(a[0], NULL, b[1], NULL, 6, 0), 6);
    write(b[1], "+", 1);
    write(a[1], "-", 1);
    expect("moved", b[0], "first +");
    expect("not moved", a[0], "second?-");
    check_errno("nothing there", splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    check_errno("nothing to copy", tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    fcntl(b[1], F_SETFL, O_NONBLOCK);
    while (write(b[1], page, sizeof page) > 0)
        ;
    write(a[1], "x", 1);
    check_errno("no room", splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    check_errno("no room for a copy", tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    check_value("it stays", waiting(a[0]), 1);
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    check_errno("no readers", splice(a[0], NULL, b[1], NULL, 1, 0), EPIPE);
    check_errno("no readers of a copy", tee(a[0], b[1], 1, 0), EPIPE);
    close(a[1]);
    expect("still there", a[0], "x");
    close(a[0]);
    close(b[1]);
}

static void check_waiting(void)
{
    int a[2], b[2], status = -1;
    pipe_with(a, "");
    pipe_with(b, "");
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(splice(a[0], NULL, b[1], NULL, 100, 0) == 4 ? 0 : 1);
    wait_until_asleep(child);
    write(a[1], "wake", 4);
    waitpid(child, &status, 0);
    check_value("waits for data", status, 0);
    expect("and moves it", b[0], "wake");
    fcntl(b[1], F_SETFL, O_NONBLOCK);
    while (write(b[1], page, sizeof page) > 0)
        ;
    fcntl(b[1], F_SETFL, 0);
    write(a[1], "room", 4);
    child = fork();
    if (!child)
        _exit(splice(a[0], NULL, b[1], NULL, 100, 0) == 4 ? 0 : 1);
    wait_until_asleep(child);
    check_value("a full pipe", read(b[0], back, sizeof back), PIPE_PAGES * PAGE);
    waitpid(child, &status, 0);
    check_value("waits for room", status, 0);
    expect("and moves that", b[0], "room");
    close_pipe(a);
    close_pipe(b);
}

static void check_sockets(void)
{
    int s[2], p[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pipe_with(p, "to a socket");
    check_value("pipe to socket", splice(p[0], NULL, s[0], NULL, 100, 0), 11);
    check_value("socket to pipe", splice(s[1], NULL, p[1], NULL, 4, 0), 4);
    expect("half way", p[0], "to a");
    check_value("the rest", splice(s[1], NULL, p[1], NULL, 100, 0), 7);
    expect("all of it", p[0], " socket");
    close(s[0]);
    check_value("its end", splice(s[1], NULL, p[1], NULL, 100, 0), 0);
    close(s[1]);
    close_pipe(p);
}

static void check_memory(void)
{
    int p[2];
    char one[] = "one ", two[] = "two", into[4] = {0}, more[8] = {0};
    struct iovec v[2] = {{one, 4}, {two, 3}}, w[2] = {{into, 3}, {more, 7}};
    pipe_with(p, "");
    check_value("memory to pipe", vmsplice(p[1], v, 2, 0), 7);
    check_value("no pieces", vmsplice(p[1], v, 0, 0), 0);
    check_value("pipe to memory", vmsplice(p[0], w, 2, 0), 7);
    check("its data", !strcmp(into, "one") && !strcmp(more, " two"), more);
    check_errno("nothing there", vmsplice(p[0], w, 2, SPLICE_F_NONBLOCK), EAGAIN);
    v[0].iov_base = (void *)8;
    check_errno("bad memory", vmsplice(p[1], v, 1, 0), EFAULT);
    check_errno("too many pieces", vmsplice(p[1], v, 1025, 0), EINVAL);
    check_errno("no pipe", vmsplice(open("f", O_RDWR), w, 2, 0), EBADF);
    check_errno("no descriptor", vmsplice(-1, w, 2, 0), EBADF);
    close_pipe(p);
}

static void check_packets(void)
{
    int p[2];
    check_value("pipe2", pipe2(p, O_DIRECT), 0);
    check_value("its flag", fcntl(p[1], F_GETFL), O_DIRECT | O_WRONLY);
    write(p[1], "one", 3);
    write(p[1], "two", 3);
    write(p[1], "three", 5);
    check_value("bytes in all", waiting(p[0]), 11);
    expect("first packet", p[0], "one");
    check_value("part of the second", read(p[0], back, 2), 2);
    expect("the rest is lost", p[0], "three");
    memset(page, 'x', sizeof page);
    for (int i = 0; i < 2; i++)
        memcpy(back + i * PAGE, page, sizeof page);
    check_value("more than a page", write(p[1], back, PAGE + 10), PAGE + 10);
    check_value("are two packets", read(p[0], back, sizeof back), PAGE);
    check_value("the second", read(p[0], back, sizeof back), 10);
    fcntl(p[1], F_SETFL, O_NONBLOCK); // and no packets any more
    int n = 0;
    while (write(p[1], "y", 1) == 1)
        n++;
    check_value("small writes share pages", n, PIPE_PAGES * PAGE);
    close_pipe(p);
    pipe2(p, O_DIRECT | O_NONBLOCK);
    for (n = 0; write(p[1], "y", 1) == 1; n++)
        ;
    check_value("packets do not", n, PIPE_PAGES);
    struct pollfd f = {p[1], POLLOUT, 0};
    check_value("full", poll(&f, 1, 0), 0);
    close_pipe(p);
}

static void check_splice_errors(void)
{
    int p[2], q[2], fd = open("f", O_RDWR), append = open("f", O_WRONLY | O_APPEND);
    loff_t at = 0, before = -1;
    pipe_with(p, "data");
    pipe_with(q, "");
    check_errno("two files", splice(fd, NULL, append, NULL, 1, 0), EINVAL);
    check_errno("one pipe twice", splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
    check_errno("tee to itself", tee(p[0], p[1], 1, 0), EINVAL);
    check_errno("tee of a file", tee(fd, p[1], 1, 0), EINVAL);
    check_errno("position of a pipe", splice(p[0], &at, q[1], NULL, 1, 0), ESPIPE);
    check_errno("of the other", splice(fd, NULL, p[1], &at, 1, 0), ESPIPE);
    check_errno("negative position", splice(fd, &before, p[1], NULL, 1, 0), EINVAL);
    check_errno("bad pointer", splice(fd, (loff_t *)8, p[1], NULL, 1, 0), EFAULT);
    check_errno("append", splice(p[0], NULL, append, NULL, 1, 0), EINVAL);
    check_errno("wrong ends", splice(p[1], NULL, q[1], NULL, 1, 0), EBADF);
    check_errno("write-only file", splice(append, NULL, p[1], NULL, 1, 0), EBADF);
    check_errno("no descriptor", splice(-1, NULL, p[1], NULL, 1, 0), EBADF);
    check_errno("no other", splice(p[0], NULL, 999, NULL, 1, 0), EBADF);
    check_errno("unknown flag", splice(p[0], NULL, q[1], NULL, 1, 0x100), EINVAL);
    check_value("no length", splice(-1, NULL, -1, NULL, 0, 0), 0);
    check_errno("wrong ends of tee", tee(p[1], q[0], 1, 0), EBADF);
    expect("nothing was lost", p[0], "data");
    close_pipe(p);
    close_pipe(q);
    close(fd);
    close(append);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
        perror("directory");
        return 1;
    }
    check_files();
    check_much();
    check_pipes();
    check_waiting();
    check_sockets();
    check_memory();
    check_packets();
    check_splice_errors();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
