// SPDX-License-Identifier: MIT
// The fuzzer's choices: which call, and what each argument is.
#include "sysfuzz.h"

#include "netlink_abi.h"
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const uint64_t boundary[] = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    4097,
    65535,
    65536,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x7fffffffffff,
    0x800000000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    ~0UL,
    ~0UL - 1,
    ~0UL - 4095,
    ~0UL << 31,
};
/// The null page, the edges of user memory, the vsyscall page, the kernel's text, its map of all memory, nowhere.
static const uint64_t bad_address[] = {
    0,
    1,
    8,
    0xfff,
    0x10000,
    0x7ffffffff000,
    0x7fffffffefff,
    0x7fffffffffff,
    0x800000000000,
    0xffffffffff600000,
    0xffffffff80000000,
    0xffffffff80200000,
    0xffffffff80100abc,
    0xffff800000000000,
    0xffff888000001000,
    0xffff7fffffffffff,
    0x8000000000000000,
    ~0UL,
    ~0UL - 7,
    ~0UL - 4095,
};
static const char *const paths[] = {
    "",
    ".",
    "/",
    "f0",
    "f1",
    "f2",
    "d0",
    "d0/f0",
    "d0/d1",
    "link",
    "loop",
    "fifo",
    "sock",
    "f0/x",
    "missing/x",
    "//",
    "self/maps",
    "self/stat",
    "self/fd",
    "self/fd/3",
    "self/mem",
    "self/status",
    "self/task",
    "self/exe",
    "self/cwd",
    "net/tcp",
    "net/unix",
    "1/maps",
    "self/fd/4/..",
    "./././f0",
    "d0/../d0/./f1",
    "user.name",
    "security.x",
    "tmpfs",
    "proc",
};
static const uint32_t ioctls[] = {
    0x5401,     0x5402,     0x5403,     0x5404, 0x5405, 0x5407,     0x5409, 0x540a, 0x540b, 0x540c,
    0x540d,     0x540e,     0x540f,     0x5410, 0x5411, 0x5412,     0x5413, 0x5414, 0x541b, 0x541d,
    0x5420,     0x5421,     0x5422,     0x5423, 0x5424, 0x5429,     0x5450, 0x5451, 0x5452, 0x5460,
    0x80045430, 0x40045431, 0x80045432, 0x5441, 0x8901, 0x8902,     0x8903, 0x8904, 0x8905, 0x8906,
    0x8907,     0x890b,     0x890c,     0x8910, 0x8912, 0x8913,     0x8914, 0x8915, 0x8916, 0x8919,
    0x891b,     0x891f,     0x8921,     0x8922, 0x8927, 0x8930,     0x8931, 0x8933, 0x8942, 0x8946,
    0x8953,     0x8954,     0x8955,     0x89b0, 0x89f0, 0x400454ca,
};

uint64_t next_random(struct source *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t any_word(struct source *s)
{
    switch (below(s, 8)) {
    case 0:
        return next_random(s);
    case 1:
        return boundary[below(s, COUNT(boundary))];
    case 2:
        return 1UL << below(s, 64);
    case 3:
        return (1UL << below(s, 20)) + (1UL << below(s, 20));
    case 4:
        return any_pointer(s);
    default:
        return below(s, 48);
    }
}

uint64_t any_pointer(struct source *s)
{
    uint64_t page = (uint64_t)(world.arena + (size_t)below(s, ARENA_PAGES) * PAGE);
    switch (below(s, 12)) {
    case 0:
        return bad_address[below(s, COUNT(bad_address))];
    case 1: // ends with the page
        return page + PAGE - below(s, 64);
    case 2:
        return page + below(s, PAGE);
    case 3:
        return one_in(s, 8) ? next_random(s) : 0;
    default:
        return page + below(s, 64) * 8;
    }
}

static int any_fd(struct source *s)
{
    if (one_in(s, 16))
        return (int)any_word(s);
    return one_in(s, 6) ? (int)below(s, MAX_FDS) : world.fd[below(s, (unsigned)world.fds)];
}

void fill(struct source *s, void *at, size_t length)
{
    uint64_t *word = at;
    for (size_t i = 0; i < length / 8; i++) {
        uint64_t kind = below(s, 5);
        word[i] = kind == 0   ? any_pointer(s)
                  : kind == 1 ? (uint64_t)(uint32_t)any_fd(s) | (uint64_t)any_fd(s) << 32
                  : kind == 2 ? any_word(s)
                              : below(s, 5);
    }
}

/// Room for a structure of the call being prepared.
static void *stage(struct source *s, size_t length)
{
    length = (length + 7) & ~(size_t)7;
    if (s->staged + length > sizeof s->stage)
        s->staged = 0;
    void *at = s->stage + s->staged;
    s->staged += length;
    return at;
}

static uint64_t any_size(struct source *s)
{
    static const uint32_t sizes[] = {0,   1,    4,    7,    8,    16,   28,    64,    128,
                                     511, 1024, 4095, 4096, 4097, 9000, 65536, 262144};
    return one_in(s, 12) ? any_word(s) : sizes[below(s, COUNT(sizes))];
}

static uint64_t any_vector(struct source *s)
{
    struct iovec *v = stage(s, sizeof *v * 4);
    for (int i = 0; i < 4; i++)
        v[i] = (struct iovec){(void *)any_pointer(s), any_size(s)};
    return (uint64_t)v;
}

static uint64_t any_address(struct source *s)
{
    struct sockaddr_storage *a = stage(s, sizeof *a);
    fill(s, a, sizeof *a);
    switch (below(s, 5)) {
    case 0: {
        struct sockaddr_un *un = (struct sockaddr_un *)a;
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof un->sun_path, "%s",
                 one_in(s, 2) ? "sock" : paths[below(s, COUNT(paths))]);
        un->sun_path[0] = one_in(s, 4) ? 0 : un->sun_path[0];
        break;
    }
    case 1: {
        struct sockaddr_nl *nl = (struct sockaddr_nl *)a;
        *nl = (struct sockaddr_nl){
            .nl_family = AF_NETLINK, .nl_pid = below(s, 2), .nl_groups = below(s, 64)};
        break;
    }
    case 2: {
        struct sockaddr_ll *ll = (struct sockaddr_ll *)a;
        ll->sll_family = AF_PACKET;
        ll->sll_protocol = htons(one_in(s, 2) ? 3 : 0x800);
        ll->sll_ifindex = (int)below(s, 3);
        break;
    }
    default: {
        struct sockaddr_in *in = (struct sockaddr_in *)a;
        in->sin_family = one_in(s, 10) ? AF_UNSPEC : AF_INET;
        in->sin_port = one_in(s, 2) ? world.port : (uint16_t)below(s, 65536);
        in->sin_addr.s_addr = htonl(one_in(s, 8) ? (uint32_t)any_word(s) : INADDR_LOOPBACK);
    }
    }
    return (uint64_t)a;
}

/// A message, now and then with control data: descriptors, credentials, nonsense.
static uint64_t any_message(struct source *s)
{
    struct msghdr *m = stage(s, sizeof *m);
    fill(s, m, sizeof *m);
    m->msg_iov = (struct iovec *)any_vector(s);
    m->msg_iovlen = one_in(s, 12) ? any_word(s) : below(s, 5);
    if (!one_in(s, 4)) {
        m->msg_name = one_in(s, 2) ? NULL : (void *)any_address(s);
        m->msg_namelen = m->msg_name ? sizeof(struct sockaddr_in) : 0;
    }
    unsigned char *control = stage(s, 96);
    fill(s, control, 96);
    struct cmsghdr *c = (struct cmsghdr *)control;
    unsigned fds = 1 + below(s, 4);
    c->cmsg_len = one_in(s, 8) ? any_word(s) : CMSG_LEN(sizeof(int) * fds);
    c->cmsg_level = one_in(s, 4) ? (int)below(s, 2) : SOL_SOCKET;
    c->cmsg_type = (int)(one_in(s, 4) ? below(s, 40) : SCM_RIGHTS);
    for (unsigned i = 0; i < fds; i++)
        ((int *)CMSG_DATA(c))[i] = any_fd(s);
    m->msg_control = one_in(s, 3) ? control : NULL;
    m->msg_controllen = !m->msg_control ? 0
                        : one_in(s, 8)  ? any_word(s)
                                        : CMSG_SPACE(sizeof(int) * fds);
    return (uint64_t)m;
}

static uint64_t any_messages(struct source *s)
{
    struct mmsghdr *all = stage(s, sizeof *all * 3);
    for (int i = 0; i < 3; i++)
        memcpy(&all[i].msg_hdr, (void *)any_message(s), sizeof(struct msghdr));
    return (uint64_t)all;
}

/// Mostly a short time: two pairs, as for a timer that repeats.
static uint64_t any_time(struct source *s)
{
    int64_t *t = stage(s, 32);
    for (int i = 0; i < 4; i++)
        t[i] = one_in(s, 8) ? (int64_t)any_word(s) : i % 2 ? (int64_t)below(s, 3000000) : 0;
    return one_in(s, 12) ? 0 : (uint64_t)t;
}

static uint64_t any_process(struct source *s)
{
    pid_t own = world.progress->tid[0];
    switch (below(s, 8)) {
    case 0:
        return 0;
    case 1:
        return (uint64_t)-own;
    case 2:
        return world.privileged ? 0x7fffffff : 1;
    case 3:
        return world.privileged ? (uint64_t)own : any_word(s) | 0x10000;
    default:
        return (uint64_t)world.progress->tid[below(s, THREADS)];
    }
}

static uint64_t any_signal(struct source *s)
{
    unsigned g = below(s, 66);
    if ((g == SIGKILL || g == SIGSTOP || g == SIGUSR1) && !one_in(s, 32))
        g = SIGUSR2; // those would end the round or blind the parent too often
    return one_in(s, 16) ? any_word(s) | 0x80 : g;
}

static uint64_t any_event(struct source *s)
{
    uint32_t *e = stage(s, 16);
    e[0] = (uint32_t)(one_in(s, 4) ? any_word(s) : 1 | 4 | (uint32_t)below(s, 4) << 30);
    return one_in(s, 10) ? any_pointer(s) : (uint64_t)e;
}

/// Memory that calls may change: mostly the arena, sometimes anywhere but this program.
static uint64_t any_page(struct source *s)
{
    if (one_in(s, 16))
        return bad_address[below(s, COUNT(bad_address))];
    return one_in(s, 6)
               ? 0
               : (uint64_t)(world.arena + (size_t)below(s, ARENA_PAGES) * PAGE) + one_in(s, 16);
}

uint64_t argument(struct source *s, char letter)
{
    static const int levels[] = {SOL_SOCKET,       IPPROTO_IP,        IPPROTO_TCP, IPPROTO_UDP,
                                 263 /* packet */, 270 /* netlink */, 255};
    static const int opens[] = {O_RDONLY,
                                O_WRONLY | O_CREAT,
                                O_RDWR | O_CREAT,
                                O_RDWR | O_CREAT | O_TRUNC,
                                O_RDONLY | O_DIRECTORY,
                                O_RDWR | O_NONBLOCK,
                                O_PATH,
                                O_RDWR | O_APPEND,
                                O_RDONLY | O_NOFOLLOW};
    if (one_in(s, 24))
        return any_word(s);
    switch (letter) {
    case 'f':
        return (uint64_t)any_fd(s);
    case 'D':
        return one_in(s, 2) ? (uint64_t)AT_FDCWD : (uint64_t)any_fd(s);
    case 'z':
        return any_size(s);
    case 's':
        return one_in(s, 12) ? any_pointer(s) : (uint64_t)paths[below(s, COUNT(paths))];
    case 'a':
        return any_address(s);
    case 'l':
        return one_in(s, 3) ? 16 : 1UL << below(s, 8);
    case 'v':
        return any_vector(s);
    case 'n':
        return below(s, 9);
    case 'm':
        return any_message(s);
    case 'M':
        return any_messages(s);
    case 'g':
        return any_signal(s);
    case 'd':
        return any_process(s);
    case 't':
        return any_time(s);
    case 'e':
        return any_event(s);
    case 'k': // few words, so that waiters and wakers meet
        return (uint64_t)(world.arena + (size_t)below(s, 3) * 4);
    case 'b':
        return any_page(s);
    case 'B':
        return one_in(s, 16) ? any_word(s) : (uint64_t)below(s, 20) * PAGE;
    case 'o':
        return one_in(s, 8) ? any_word(s) : ioctls[below(s, COUNT(ioctls))];
    case 'O':
        return one_in(s, 6) ? 1024 + below(s, 12) : below(s, 40);
    case 'L':
        return (uint64_t)levels[below(s, COUNT(levels))];
    case 'N':
        return below(s, 64);
    case 'q':
        return (uint64_t)opens[below(s, COUNT(opens))] | (one_in(s, 8) ? any_word(s) : 0);
    case 'u':
        return one_in(s, 2) ? 65534 : any_word(s);
    case 'c':
        return below(s, 13);
    case 'p':
        return any_pointer(s);
    default:
        return any_word(s);
    }
}

/// Calls that would merely end the run, or the round too often, become something else.
static void guard(struct source *s, uint64_t *nr, uint64_t a[6])
{
    switch (*nr) {
    case SYS_reboot:
        a[0] = 1; // not the magic number
        break;
    case SYS_exit:
    case SYS_exit_group:
    case SYS_rt_sigreturn:
    case SYS_execve:
        *nr = one_in(s, 64) ? *nr : SYS_getpid;
        break;
    case SYS_kill:
        a[0] = (int)a[0] == -1 ? 0 : a[0];
        *nr = world.privileged ? SYS_getppid : *nr; // root may end others
        break;
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
        *nr = world.privileged ? SYS_getppid : *nr;
        break;
    case SYS_fcntl: // F_SETOWN, F_SETSIG, F_SETOWN_EX: signals by other means, as the ioctls FIOSETOWN and SIOCSPGRP are
        a[1] = world.privileged && (a[1] == 8 || a[1] == 10 || a[1] == 15) ? F_GETFL : a[1];
        break;
    case SYS_ioctl:
        a[1] = world.privileged && (a[1] == 0x8901 || a[1] == 0x8902) ? FIONREAD : a[1];
        break;
    case SYS_rt_sigaction: // SIGUSR1 must go on to interrupt what blocks
        a[0] = a[0] == SIGUSR1 ? SIGUSR2 : a[0];
        break;
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
    case SYS_chroot:
    case SYS_mount:
    case SYS_capset: // the parent ends a round by its user id
        *nr = world.privileged ? SYS_getuid : *nr;
        break;
    case SYS_arch_prctl: // its own thread pointer
        a[0] = (uint32_t)a[0] == 0x1002 && !one_in(s, 16) ? 0x1003 : a[0];
        break;
    case SYS_close_range:
        a[0] = a[0] < 64 && !one_in(s, 16) ? 64 : a[0];
        break;
    default:
        break;
    }
}

void choose_call(struct source *s, uint64_t *nr, uint64_t a[6])
{
    const char *kinds = "";
    s->staged = 0;
    if (one_in(s, 20)) {
        *nr = one_in(s, 4) ? any_word(s) : below(s, 600);
    } else {
        unsigned i = below(s, call_count);
        *nr = call_table[i].nr;
        kinds = call_table[i].kinds;
    }
    for (int i = 0; i < 6; i++) {
        a[i] = argument(s, *kinds ? *kinds : 'x');
        kinds += *kinds != 0;
    }
    guard(s, nr, a);
}
