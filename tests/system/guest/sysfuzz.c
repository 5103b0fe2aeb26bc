// SPDX-License-Identifier: MIT
// A fuzzer of system calls: sysfuzz [-v] SEED ROUNDS CALLS. Each round is a worker process of three threads that share
// descriptors of every kind and one address space and make CALLS calls each, chosen by the seed. The worker is nobody, or root
// without the rights to end the run. Nothing a worker does may hurt anyone but itself: that the kernel is well afterwards is
// for the caller to judge. The same seed makes each thread choose the same calls.
#include "sysfuzz.h"

#include <net/ethernet.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>

enum { NOBODY = 65534 };
static const char scratch[] = "/tmp/sysfuzz";
struct world world;
static struct source sources[THREADS];
static unsigned calls_of_thread;

int64_t raw_call(uint64_t nr, const uint64_t a[6])
{
    int64_t result = (int64_t)nr;
    register uint64_t r12 __asm__("r12") = nr;
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    // A child, on whatever stack, does nothing but exit.
    __asm__ volatile(
        "syscall\n test %%rax, %%rax\n jnz 1f\n cmp $56, %%r12\n je 2f\n cmp $57, %%r12\n je 2f\n"
        "cmp $58, %%r12\n je 2f\n cmp $435, %%r12\n jne 1f\n"
        "2: mov $60, %%eax\n xor %%edi, %%edi\n syscall\n ud2\n 1:"
        : "+a"(result), "+r"(r10), "+r"(r8), "+r"(r9)
        : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r12)
        : "rcx", "r11", "memory");
    return result;
}

static void add_fd(int fd)
{
    if (fd >= 0 && world.fds < MAX_FDS)
        world.fd[world.fds++] = fd;
}

static void open_sockets(void)
{
    static const int kinds[][3] = {
        {AF_INET, SOCK_STREAM, 0},         {AF_INET, SOCK_DGRAM, 0},
        {AF_INET, SOCK_RAW, IPPROTO_ICMP}, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
        {AF_UNIX, SOCK_STREAM, 0},         {AF_UNIX, SOCK_DGRAM, 0},
        {AF_NETLINK, SOCK_RAW, 0},         {AF_PACKET, SOCK_RAW, 0},
        {AF_PACKET, SOCK_DGRAM, 0},
    };
    int two[2];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_fd(socket(kinds[i][0], kinds[i][1], kinds[i][2]));
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
        if (type != SOCK_RAW && type != SOCK_RDM && socketpair(AF_UNIX, type, 0, two) == 0) {
            add_fd(two[0]);
            add_fd(two[1]);
        }
    struct sockaddr_in a = address_of("127.0.0.1", 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)bind(listener, (struct sockaddr *)&a, sizeof a);
    listen(listener, 4);
    world.port = htons((uint16_t)port_of(listener));
    a.sin_port = world.port;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    (void)connect(client, (struct sockaddr *)&a, sizeof a);
    add_fd(listener);
    add_fd(client);
    add_fd(accept(listener, NULL, NULL));
    int udp = udp_socket("127.0.0.1", ntohs(world.port));
    (void)connect(udp, (struct sockaddr *)&a, sizeof a); // to itself
    add_fd(udp);
}

static void open_files(void)
{
    static const char *const readable[] = {
        "/proc",
        "/proc/self",
        "/proc/self/maps",
        "/proc/self/mem",
        "/proc/self/stat",
        "/proc/self/fd",
        "/proc/self/pagemap",
        "/proc/self/environ",
        "/proc/self/smaps",
        "/proc/meminfo",
        "/proc/slabinfo",
        "/proc/kmsg",
        "/proc/net/tcp",
        "/proc/net/udp",
        "/proc/net/unix",
        "/proc/net/dev",
        "/proc/net/netlink",
        "/proc/net/packet",
        "/proc/net/route",
        "/proc/net/arp",
        "/proc/interrupts",
        "/proc/mounts",
        "/proc/sys/net/ipv4/tcp_rmem",
        "/sys/class/net",
        "/sys/kernel/debug/net/sockets",
        "/sys/kernel/debug/sched/tasks",
        "/sys/kernel/debug/tracing/trace",
        "/sys/kernel/debug",
        "/dev/pts",
    };
    static const char *const writable[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
                                           "/dev/urandom", "/dev/ptmx", "/dev/tty"};
    for (size_t i = 0; i < sizeof readable / sizeof *readable; i++)
        add_fd(open(readable[i], O_RDONLY | O_NONBLOCK));
    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++)
        add_fd(open(writable[i], O_RDWR | O_NOCTTY));
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), number = 0, unlocked = 0;
    char name[32];
    ioctl(master, TIOCSPTLCK, &unlocked);
    ioctl(master, TIOCGPTN, &number);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    add_fd(master);
    add_fd(open(name, O_RDWR));
    mkdir("d0", 0777);
    symlink("f0", "link");
    symlink("loop", "loop");
    mkfifo("fifo", 0666);
    add_fd(open("f0", O_RDWR | O_CREAT, 0666));
    add_fd(open("f0", O_RDONLY));
    add_fd(open("f1", O_RDWR | O_CREAT | O_APPEND, 0666));
    add_fd(open("f2", O_RDWR | O_CREAT | O_NONBLOCK, 0777));
    add_fd(open("d0", O_RDONLY | O_DIRECTORY));
    add_fd(open("f0", O_PATH));
    add_fd(open("fifo", O_RDWR));
}

void open_everything(void)
{
    int two[2];
    sigset_t some;
    world.fds = 0;
    open_files();
    open_sockets();
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        pipe2(two, flags);
        add_fd(two[0]);
        add_fd(two[1]);
    }
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, two[0], &event);
    add_fd(ep);
    add_fd(epoll_create1(0));
    add_fd(timerfd_create(CLOCK_MONOTONIC, 0));
    add_fd(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    add_fd(signalfd(-1, &some, 0));
    add_fd(eventfd(1, 0));
    add_fd(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK));
}

void map_arena(struct source *s)
{
    (void)mmap(world.arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    // Half of it has contents: what is read there as a structure is neither all zero nor all noise.
    for (size_t page = 0; page < ARENA_PAGES; page += 2)
        fill(s, world.arena + page * PAGE, 512);
    mprotect(world.arena + 5 * PAGE, PAGE, PROT_READ);
    mprotect(world.arena + 9 * PAGE, PAGE, PROT_NONE);
    munmap(world.arena + 13 * PAGE, PAGE);
}

static void ignore_signal(int number)
{
    (void)number;
}

static void allow_poke(void)
{
    uint64_t mask = 1UL << (SIGUSR1 - 1);
    raw_call(SYS_rt_sigprocmask, (uint64_t[6]){SIG_UNBLOCK, (uint64_t)&mask, 0, 8});
}

static void *make_calls(void *argument)
{
    struct source *s = argument;
    uint64_t nr, a[6];
    world.progress->tid[s->thread] = (pid_t)syscall(SYS_gettid);
    __atomic_add_fetch(&world.progress->ready, 1, __ATOMIC_SEQ_CST);
    while (world.progress->ready < THREADS)
        sched_yield();
    for (unsigned i = 0; i < calls_of_thread; i++) {
        if (s->thread == 0 && i % 128 == 127)
            map_arena(s);
        choose_call(s, &nr, a);
        if (world.verbose) {
            char line[160];
            int n = snprintf(line, sizeof line, "%u: call %ld(%lx, %lx, %lx, %lx, %lx, %lx)\n",
                             s->thread, (long)nr, a[0], a[1], a[2], a[3], a[4], a[5]);
            write(MAX_FDS + 100, line, (size_t)n);
        }
        raw_call(nr, a);
        world.progress->calls[s->thread] = i + 1;
        if (nr == SYS_rt_sigprocmask)
            allow_poke();
    }
    return NULL;
}

static void limit(int what, rlim_t value)
{
    struct rlimit l = {value, value};
    setrlimit(what, &l);
}

static void set_limits(void)
{
    limit(RLIMIT_FSIZE, 1 << 20);
    limit(RLIMIT_AS, 96 << 20);
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_NPROC, 24);
    limit(RLIMIT_STACK, 1 << 20);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_SIGPENDING, 64);
    limit(RLIMIT_MEMLOCK, 256 << 10);
}

/// Root, but its real id is nobody's, so that the parent's broom reaches it; without the rights to end the run.
static void become_half_root(void)
{
    // KILL, SETUID, NET_ADMIN, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, SYS_NICE, SYS_RESOURCE, SYS_TIME
    const uint32_t dropped = 1U << 5 | 1U << 7 | 1U << 12 | 1U << 19 | 0x1fU << 21;
    uint32_t header[2] = {0x20080522, 0}, data[6] = {0}; // effective, permitted, inheritable, twice
    if (setresuid(NOBODY, 0, NOBODY) < 0)
        _exit(3);
    syscall(SYS_capget, header, data);
    data[0] &= ~dropped;
    data[1] &= ~dropped;
    data[3] = data[4] = 0;
    if (syscall(SYS_capset, header, data) < 0)
        _exit(3);
}

static void prepare_worker(bool privileged)
{
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (world.verbose)
        dup2(1, MAX_FDS + 100);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (chdir(scratch) < 0)
        _exit(3);
    open_everything();
    if (chroot(".") < 0)
        _exit(3);
    set_limits();
    world.privileged = privileged;
    if (privileged)
        become_half_root();
    else if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
        _exit(3);
    struct sigaction ignore = {.sa_handler = ignore_signal};
    for (int number = 1; number <= 64; number++)
        if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE)
            sigaction(number, &ignore, NULL);
    world.arena = mmap((void *)0x10000000000, ARENA_PAGES * PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void work(uint64_t seed, unsigned kind)
{
    pthread_t other[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        sources[i] = (struct source){.state = seed + i * 0x1234567, .thread = i};
        (void)next_random(&sources[i]);
    }
    prepare_worker(kind == 2);
    map_arena(&sources[0]);
    if (kind == 3) {
        world.progress->tid[0] = getpid();
        world.progress->ready = THREADS;
        fuzz_frames(&sources[0], calls_of_thread / 4);
        fuzz_elf(&sources[0], calls_of_thread / 4);
        _exit(0);
    }
    for (unsigned i = 1; i < THREADS; i++)
        pthread_create(&other[i], NULL, make_calls, &sources[i]);
    make_calls(&sources[0]);
    for (unsigned i = 1; i < THREADS; i++)
        pthread_join(other[i], NULL);
    _exit(0);
}

/// End everything that has the workers' user id, whatever group or parent it has.
static void sweep(void)
{
    pid_t broom = fork();
    if (broom == 0) {
        if (setresuid(NOBODY, NOBODY, NOBODY) == 0)
            kill(-1, SIGKILL);
        _exit(0);
    }
    while (waitpid(broom, NULL, 0) != broom)
        ;
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

/// Interrupt what a worker sleeps in until it ends; returns whether it had to be killed.
static bool attend(pid_t worker, struct progress *p)
{
    unsigned seen[THREADS] = {0}, still = 0;
    while (waitpid(worker, NULL, WNOHANG) == 0) {
        bool moved = false;
        usleep(TICK_US);
        for (unsigned i = 0; i < THREADS && p->ready == THREADS; i++) {
            if (p->calls[i] == seen[i])
                syscall(SYS_tgkill, worker, p->tid[i], SIGUSR1);
            moved |= p->calls[i] != seen[i];
            seen[i] = p->calls[i];
        }
        kill(worker, SIGCONT);
        still = moved || p->ready < THREADS ? 0 : still + 1;
        if (still == STUCK_LOOKS) {
            kill(worker, SIGKILL);
            while (waitpid(worker, NULL, 0) != worker)
                ;
            return true;
        }
    }
    return false;
}

static void one_round(uint64_t seed, unsigned number)
{
    struct progress *p = world.progress;
    memset((void *)p, 0, sizeof *p);
    mkdir(scratch, 0777);
    mount("tmpfs", scratch, "tmpfs", 0, "size=4m");
    chmod(scratch, 0777);
    pid_t worker = fork();
    if (worker == 0)
        work(seed, number % 4);
    bool stuck = attend(worker, p);
    sweep();
    umount2(scratch, MNT_DETACH);
    printf("round %u: %u calls%s\n", number, p->calls[0] + p->calls[1] + p->calls[2],
           stuck ? ", stuck and killed" : "");
}

int main(int argc, char **argv)
{
    line_output();
    world.verbose = argc > 1 && !strcmp(argv[1], "-v");
    argv += world.verbose;
    if (argc - world.verbose != 4) {
        fputs("usage: sysfuzz [-v] SEED ROUNDS CALLS\n", stderr);
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 0);
    unsigned rounds = (unsigned)atoi(argv[2]);
    calls_of_thread = (unsigned)atoi(argv[3]);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    world.progress = mmap(NULL, sizeof *world.progress, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < rounds; i++)
        one_round(seed * 1000003 + i * 7919, i);
    rmdir(scratch);
    puts("all ok");
    return 0;
}
