// SPDX-License-Identifier: MIT
// Pseudo terminals as shells and terminal servers use them: forkpty, job control, window size, hangup. Says the same on Linux.
#include "guest_test.h"
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <termios.h>
#include <utmp.h>

#define CHECK(c)              \
    ((c) ? (void)0            \
         : (void)(failures++, \
                  printf("FAIL %s:%d %s (errno %d)\n", __FILE__, __LINE__, #c, errno)))

/// What was read and not yet expected.
static char seen[8192];
static size_t seen_len;

/// Read until `want` has been seen (or nothing came for ten seconds); what follows it stays for the next call. True: seen.
static int expect(int fd, const char *want)
{
    for (;;) {
        seen[seen_len] = 0;
        char *at = strstr(seen, want);
        if (at) {
            at += strlen(want);
            seen_len -= (size_t)(at - seen);
            memmove(seen, at, seen_len);
            return 1;
        }
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n = -1;
        if (seen_len + 1 < sizeof seen && poll(&p, 1, PATIENCE_MS) == 1)
            n = read(fd, seen + seen_len, sizeof seen - 1 - seen_len);
        if (n <= 0)
            break;
        seen_len += (size_t)n;
    }
    printf("got '%s' instead of '%s'\n", seen, want);
    seen_len = 0;
    return 0;
}

static void say(const char *s)
{
    CHECK(write(1, s, strlen(s)) == (ssize_t)strlen(s));
}

static volatile sig_atomic_t got_signal;
static void on_signal(int sig)
{
    got_signal = sig;
}
static void handle(int sig)
{
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(sig, &a, NULL);
}
static void wait_signal(int sig)
{
    while (got_signal != sig) {
        struct timespec t = {0, 2000000};
        nanosleep(&t, NULL);
    }
}

static void write_all(int fd, const char *s)
{
    CHECK(write(fd, s, strlen(s)) == (ssize_t)strlen(s));
}

/// The child's side: a session leader on the slave.
static int child_main(void)
{
    char line[64], name[64];
    struct winsize w;
    CHECK(getsid(0) == getpid() && tcgetpgrp(0) == getpid() && tcgetsid(0) == getpid());
    CHECK(ttyname_r(0, name, sizeof name) == 0 && strncmp(name, "/dev/pts/", 9) == 0);
    CHECK(ioctl(0, TIOCGWINSZ, &w) == 0 && w.ws_row == 30 && w.ws_col == 100);
    handle(SIGINT);
    handle(SIGWINCH);
    say("ready\n");
    wait_signal(SIGINT);
    say("interrupted\n");
    wait_signal(SIGWINCH);
    CHECK(ioctl(0, TIOCGWINSZ, &w) == 0 && w.ws_row == 31);
    say("resized\n");
    CHECK(read(0, line, sizeof line) == 6 && memcmp(line, "hello\n", 6) == 0);
    int tty = open("/dev/tty", O_RDWR);
    CHECK(tty >= 0 && write(tty, "via tty\n", 8) == 8);
    close(tty);

    // A background group: reading stops it, writing too with TOSTOP; ignored signals give EIO resp. let it through.
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_DFL);
        read(0, line, sizeof line);
        _exit(7);
    }
    setpgid(job, job);
    int status;
    CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) &&
          WSTOPSIG(status) == SIGTTIN);
    signal(SIGTTOU, SIG_IGN);
    CHECK(tcsetpgrp(0, job) == 0 && tcgetpgrp(0) == job);
    CHECK(kill(-job, SIGCONT) == 0);
    say("job in front\n");
    CHECK(waitpid(job, &status, 0) == job && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(tcsetpgrp(0, getpid()) == 0);
    CHECK(tcsetpgrp(0, 999999) == -1 && errno == ESRCH);
    job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_IGN);
        ssize_t n = read(0, line, sizeof line);
        _exit(n == -1 && errno == EIO ? 8 : 1);
    }
    CHECK(waitpid(job, &status, 0) == job && WEXITSTATUS(status) == 8);
    say(failures ? "child failed\n" : "child ok\n");
    handle(SIGHUP);
    say("waiting\n");
    wait_signal(SIGHUP);
    CHECK(read(0, line, sizeof line) == 0);
    CHECK(write(1, "x", 1) == -1 && errno == EIO);
    CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
    return failures ? 1 : 42;
}

static void session_on_a_pty(void)
{
    struct winsize w = {30, 100, 0, 0};
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, &w);
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(child_main());
    CHECK(expect(master, "ready\r\n"));
    write_all(master, "\003");
    CHECK(expect(master, "interrupted\r\n"));
    CHECK(tcgetpgrp(master) == pid);
    w.ws_row = 31;
    CHECK(ioctl(master, TIOCSWINSZ, &w) == 0);
    CHECK(expect(master, "resized\r\n"));
    write_all(master, "hellp\177o\n");
    CHECK(expect(master, "via tty\r\n"));
    CHECK(expect(master, "job in front\r\n"));
    write_all(master, "input\n");
    CHECK(expect(master, "child ok\r\n"));
    CHECK(expect(master, "waiting\r\n"));
    close(master);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/// The group in front gets SIGHUP when the session's leader ends; the master then reads EIO.
static void leader_ends(void)
{
    int master, status, fds[2];
    CHECK(pipe(fds) == 0);
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    if (pid == 0) {
        handle(SIGHUP);
        pid_t member = fork();
        if (member == 0) {
            say("member\n");
            wait_signal(SIGHUP);
            CHECK(write(fds[1], "h", 1) == 1);
            _exit(0);
        }
        char c;
        CHECK(read(0, &c, 1) == 1);
        _exit(3);
    }
    CHECK(expect(master, "member\r\n"));
    write_all(master, "\n");
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
    char c;
    CHECK(read(fds[0], &c, 1) == 1);
    ssize_t n;
    char buf[64];
    while ((n = read(master, buf, sizeof buf)) > 0)
        ;
    CHECK(n == -1 && errno == EIO);
    close(master);
    close(fds[0]);
    close(fds[1]);
}

static void ends_without_a_session(void)
{
    int master, slave;
    char name[64], buf[64];
    struct termios t;
    struct stat st;
    CHECK(openpty(&master, &slave, name, NULL, NULL) == 0);
    CHECK(stat(name, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136);
    CHECK(isatty(master) && isatty(slave));
    CHECK(tcgetattr(slave, &t) == 0 &&
          (t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
    CHECK(tcgetsid(slave) == -1 && errno == ENOTTY);
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 1;
    CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
    CHECK(read(slave, buf, sizeof buf) == 0);
    t.c_cc[VMIN] = 3;
    t.c_cc[VTIME] = 0;
    CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
    struct pollfd p = {slave, POLLIN, 0};
    write_all(master, "ab");
    CHECK(poll(&p, 1, 0) == 0);
    write_all(master, "c");
    CHECK(poll(&p, 1, PATIENCE_MS) == 1 && read(slave, buf, sizeof buf) == 3);
    close(slave);
    p.fd = master;
    CHECK(poll(&p, 1, PATIENCE_MS) == 1 && (p.revents & POLLHUP));
    CHECK(read(master, buf, 1) == -1 && errno == EIO);
    slave = open(name, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    close(master);
    CHECK(stat(name, &st) == -1 && errno == ENOENT);
    CHECK(read(slave, buf, 1) == 0);
    close(slave);
}

int main(void)
{
    line_output();
    signal(SIGHUP, SIG_DFL);
    ends_without_a_session();
    session_on_a_pty();
    leader_ends();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}
