// SPDX-License-Identifier: MIT
// SIGIO and SIGURG: O_ASYNC on sockets, pipes and terminals, F_SETOWN, F_SETSIG and their errors. argv[1]: a directory of its own.
#include "guest_test.h"

#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

#ifndef F_SETSIG
#define F_SETSIG 10
#define F_GETSIG 11
#define F_SETOWN_EX 15
#define F_GETOWN_EX 16
#endif

struct owner_ex {
    int type, pid;
};

static sigset_t awaited;

/// The next of the awaited signals, 0 if there is none pending; a second chance for what comes by softirq.
static int next_signal(siginfo_t *info)
{
    siginfo_t unused;
    struct timespec none = {0, 0};
    int sig = sigtimedwait(&awaited, info ? info : &unused, &none);
    return sig < 0 ? 0 : sig;
}

/// Wait for one, as long as it takes.
static int await_signal(siginfo_t *info)
{
    siginfo_t unused;
    return sigwaitinfo(&awaited, info ? info : &unused);
}

static void make_async(int fd)
{
    check_value("F_SETOWN", fcntl(fd, F_SETOWN, getpid()), 0);
    check_value("O_ASYNC", fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC), 0);
    check_value("is set", fcntl(fd, F_GETFL) & O_ASYNC, O_ASYNC);
}

static void check_pipe(void)
{
    int p[2];
    char c;
    siginfo_t info;
    pipe(p);
    make_async(p[0]);
    write(p[1], "x", 1);
    check_value("data in a pipe", next_signal(&info), SIGIO);
    check_value("no details", info.si_code, SI_KERNEL);
    check_value("F_SETSIG", fcntl(p[0], F_SETSIG, SIGRTMIN + 1), 0);
    check_value("F_GETSIG", fcntl(p[0], F_GETSIG), SIGRTMIN + 1);
    write(p[1], "y", 1);
    check_value("the chosen one", next_signal(&info), SIGRTMIN + 1);
    check_value("why", info.si_code, POLL_IN);
    check_value("where", info.si_fd, p[0]);
    check_value("what", info.si_band & POLLIN, POLLIN);
    fcntl(p[0], F_SETFL, fcntl(p[0], F_GETFL) & ~O_ASYNC);
    write(p[1], "z", 1);
    check_value("switched off", next_signal(NULL), 0);
    make_async(p[1]);
    read(p[0], &c, 1);
    check_value("room in a pipe", next_signal(NULL), SIGIO);
    close(p[0]);
    check_value("the reader is gone", next_signal(NULL), SIGIO);
    close(p[1]);
    check_value("nothing more", next_signal(NULL), 0);
}

static void check_sockets(void)
{
    int a = udp_socket("127.0.0.1", 0), b = udp_socket("127.0.0.1", 0), s[2], on = 1;
    struct sockaddr_in to = address_of("127.0.0.1", port_of(a));
    make_async(a);
    sendto(b, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
    check_value("a datagram", await_signal(NULL), SIGIO);
    check_value("FIOASYNC off", ioctl(a, FIOASYNC, (on = 0, &on)), 0);
    check_value("is off", fcntl(a, F_GETFL) & O_ASYNC, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    make_async(s[0]);
    write(s[1], "x", 1);
    check_value("a local stream", next_signal(NULL), SIGIO);
    fcntl(s[0], F_SETSIG, SIGRTMIN + 1);
    close(s[1]);
    siginfo_t info;
    check_value("its end", next_signal(&info), SIGRTMIN + 1);
    check_value("is told", info.si_code, POLL_HUP);
    while (next_signal(NULL))
        ;
    close(s[0]);
    close(a);
    close(b);
}

static void check_tcp(void)
{
    int l = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = address_of("127.0.0.1", 0);
    bind(l, (struct sockaddr *)&any, sizeof any);
    listen(l, 4);
    make_async(l);
    struct sockaddr_in to = address_of("127.0.0.1", port_of(l));
    int c = socket(AF_INET, SOCK_STREAM, 0);
    check_value("connect", connect(c, (struct sockaddr *)&to, sizeof to), 0);
    check_value("a connection to accept", await_signal(NULL), SIGIO);
    fcntl(l, F_SETFL, 0);
    while (next_signal(NULL))
        ;
    int s = accept(l, NULL, NULL);
    check_value("owner for urgent data", fcntl(s, F_SETOWN, getpid()), 0);
    send(c, "!", 1, MSG_OOB);
    check_value("urgent data", await_signal(NULL), SIGURG);
    make_async(s);
    send(c, "data", 4, 0);
    check_value("data", await_signal(NULL), SIGIO);
    close(c);
    check_value("the end", await_signal(NULL), SIGIO);
    close(s);
    close(l);
    while (next_signal(NULL))
        ;
}

static void check_terminal(void)
{
    int master, slave;
    struct termios raw;
    if (access("/dev/ptmx", F_OK))
        return; // a guest whose /dev nobody has mounted
    check_value("openpty", openpty(&master, &slave, NULL, NULL, NULL), 0);
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    make_async(slave);
    write(master, "x", 1);
    check_value("a key", await_signal(NULL), SIGIO);
    close(slave);
    close(master);
    while (next_signal(NULL))
        ;
}

static void check_owners(void)
{
    int p[2];
    pipe(p);
    check_value("nobody at first", fcntl(p[0], F_GETOWN), 0);
    check_value("no signal chosen", fcntl(p[0], F_GETSIG), 0);
    check_errno("bad signal", fcntl(p[0], F_SETSIG, 65), EINVAL);
    check_errno("negative signal", fcntl(p[0], F_SETSIG, -1), EINVAL);
    setpgid(0, 0);
    check_value("a group", fcntl(p[0], F_SETOWN, -getpgrp()), 0);
    struct owner_ex o = {-1, -1};
    check_value("F_GETOWN_EX", fcntl(p[0], F_GETOWN_EX, &o), 0);
    check("is the group", o.type == 2 && o.pid == getpgrp(), "differs");
    o = (struct owner_ex){0, (int)syscall(SYS_gettid)};
    check_value("a thread", fcntl(p[0], F_SETOWN_EX, &o), 0);
    check_value("as F_GETOWN tells it", fcntl(p[0], F_GETOWN), getpid());
    o.type = 3;
    check_errno("bad type", fcntl(p[0], F_SETOWN_EX, &o), EINVAL);
    o = (struct owner_ex){1, 999999};
    check_errno("no such process", fcntl(p[0], F_SETOWN_EX, &o), ESRCH);
    check_errno("bad pointer", fcntl(p[0], F_SETOWN_EX, (void *)8), EFAULT);
    check_errno("and back", fcntl(p[0], F_GETOWN_EX, (void *)8), EFAULT);
    check_value("nobody again", fcntl(p[0], F_SETOWN, 0), 0);
    check_value("F_GETOWN", fcntl(p[0], F_GETOWN), 0);
    int s = socket(AF_INET, SOCK_DGRAM, 0), pid = getpid();
    check_value("SIOCSPGRP", ioctl(s, 0x8902, &pid), 0);
    check_value("F_GETOWN of it", fcntl(s, F_GETOWN), pid);
    pid = 0;
    check_value("SIOCGPGRP", ioctl(s, 0x8904, &pid), 0);
    check_value("the same", pid, getpid());
    int fd = open("plain", O_CREAT | O_RDWR, 0600);
    check_value("a file cannot", fcntl(fd, F_SETFL, O_ASYNC), 0);
    check_value("and does not", fcntl(fd, F_GETFL) & O_ASYNC, 0);
    close(fd);
    close(s);
    // A descriptor shared by fork: the owner stays, and the last close ends it.
    make_async(p[0]);
    if (!fork()) {
        write(p[1], "x", 1);
        _exit(0);
    }
    wait(NULL);
    check_value("from another process", next_signal(NULL), SIGIO);
    close(p[0]);
    close(p[1]);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
        perror("directory");
        return 1;
    }
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGIO);
    sigaddset(&awaited, SIGURG);
    sigaddset(&awaited, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    check_pipe();
    check_sockets();
    check_tcp();
    check_terminal();
    check_owners();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
