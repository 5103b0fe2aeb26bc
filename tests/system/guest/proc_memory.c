// SPDX-License-Identifier: MIT
// Memory: mmap and its family, the stack, running out, and system calls with bad addresses.
#include "guest_test.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

enum { PAGE = 4096 };
static sigjmp_buf back;

static void faulted(int sig)
{
    siglongjmp(back, sig);
}

/// 0 when the byte can be accessed, else the signal.
static int touch(volatile char *p, int write)
{
    int sig = sigsetjmp(back, 1);
    if (!sig) {
        if (write)
            *p = 'w';
        else
            (void)*p;
    }
    return sig;
}

static char *map(size_t n, int prot, int flags)
{
    return mmap(NULL, n, prot, flags | MAP_ANONYMOUS, -1, 0);
}

static void check_mmap(void)
{
    char *p = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    int zero = 1;
    for (int i = 0; i < 8 * PAGE; i++)
        zero &= !p[i];
    check("zero pages", zero, "dirty");
    memset(p, 'x', 8 * PAGE);
    check_value("hole", munmap(p + 2 * PAGE, PAGE), 0);
    check_value("access to the hole", touch(p + 2 * PAGE, 0), SIGSEGV);
    check_value("before the hole", touch(p + 2 * PAGE - 1, 1), 0);
    check_value("after the hole", touch(p + 3 * PAGE, 1), 0);
    check_value("read-only", mprotect(p + 4 * PAGE, PAGE, PROT_READ), 0);
    check_value("write to it", touch(p + 4 * PAGE, 1), SIGSEGV);
    check_value("read it", touch(p + 4 * PAGE, 0), 0);
    check_value("inaccessible", mprotect(p + 4 * PAGE, PAGE, PROT_NONE), 0);
    check_value("read of it", touch(p + 4 * PAGE, 0), SIGSEGV);
    check_errno("system call on it", write(1, p + 4 * PAGE, 1), EFAULT);
    mprotect(p + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE);
    check("contents kept", p[4 * PAGE] == 'x', "lost");
    check_errno("mprotect over a hole", mprotect(p, 8 * PAGE, PROT_READ), ENOMEM);
    check_value("MADV_DONTNEED", madvise(p + 5 * PAGE, PAGE, MADV_DONTNEED), 0);
    check("zero again", p[5 * PAGE] == 0 && p[6 * PAGE] == 'x', "differs");
    char *q = mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    check("fixed", q == p + 2 * PAGE, "elsewhere");
    munmap(p, 8 * PAGE);
    check_errno("no length", (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                EINVAL);
    check_errno("no type", (long)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    check_errno("too long", (long)map(1UL << 47, PROT_READ, MAP_PRIVATE), ENOMEM);
    check_errno("unaligned munmap", munmap(p + 1, PAGE), EINVAL);
    check_errno("beyond user space", munmap((void *)0xffff800000000000, PAGE), EINVAL);
    check_errno("bad descriptor", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
}

static void check_huge(void)
{
    char *p = map(1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
    check("reserve a terabyte", p != MAP_FAILED, NULL);
    mprotect(p + (1UL << 39), PAGE, PROT_READ | PROT_WRITE);
    p[1UL << 39] = 'm';
    check_value("free it", munmap(p, 1UL << 40), 0);
    check_errno("more than there is", (long)map(1UL << 44, PROT_READ | PROT_WRITE, MAP_PRIVATE),
                ENOMEM);
}

static void check_mremap(void)
{
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(p, 'r', 4 * PAGE);
    char *q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    check("grown", q != MAP_FAILED && q[0] == 'r' && q[4 * PAGE - 1] == 'r' && q[4 * PAGE] == 0,
          NULL);
    char *r = mremap(q, 64 * PAGE, 2 * PAGE, 0);
    check("shrunk in place", r == q, NULL);
    check_value("the rest is gone", touch(q + 2 * PAGE, 0), SIGSEGV);
    char *block = map(PAGE, PROT_READ, MAP_PRIVATE | 0);
    (void)block;
    check_errno("of nothing", (long)mremap((void *)PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    char *to = map(8 * PAGE, PROT_NONE, MAP_PRIVATE);
    r = mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    check("moved there", r == to && to[PAGE] == 'r', NULL);
    check_value("not here any more", touch(q, 0), SIGSEGV);
}

static void check_brk(void)
{
    char *start = (char *)syscall(SYS_brk, 0);
    char *end = start + 20 * PAGE + 123;
    check("grow", (char *)syscall(SYS_brk, end) == end, "refused");
    end[-1] = 'b';
    check("shrink", (char *)syscall(SYS_brk, start) == start, "refused");
    check_value("gone", touch(end - 1, 0), SIGSEGV);
    check("too much", (char *)syscall(SYS_brk, start + (1UL << 46)) == start, "granted");
}

static int deep(int n)
{
    volatile char use[1000];
    use[0] = (char)n;
    return n ? deep(n - 1) + use[0] : 0;
}

static void check_stack(void)
{
    deep(4000);
    check("four megabytes of stack", 1, "");
    pid_t child = fork();
    int status;
    if (!child) {
        signal(SIGSEGV, SIG_DFL);
        deep(1000000000);
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_value("endless recursion", status & 0x7f, SIGSEGV);
}

static void check_file(void)
{
    int fd = open("/tmp/map", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char text[PAGE + 100];
    memset(text, 'f', sizeof text);
    check_value("write", write(fd, text, sizeof text), sizeof text);
    char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    check("map a file", shared != MAP_FAILED && private != MAP_FAILED, NULL);
    check("contents", shared[PAGE + 99] == 'f' && private[0] == 'f' && shared[PAGE + 100] == 0,
          "differ");
    private[0] = 'P';
    shared[1] = 'S';
    char back_read[2];
    check_value("pread", pread(fd, back_read, 2, 0), 2);
    check("shared is the file, private is not", back_read[0] == 'f' && back_read[1] == 'S',
          "differ");
    check_value("beyond the end", touch(shared + 2 * PAGE, 0), SIGBUS);
    check_value("write of unmapped user memory", pwrite(fd, shared, 5, 10), 5);
    int ro = open("/tmp/map", O_RDONLY);
    check_errno("shared, writable, not opened so",
                (long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
    char *r = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    check_errno("nor later", mprotect(r, PAGE, PROT_WRITE), EACCES);
    check_errno("unaligned offset", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 100),
                EINVAL);
    close(ro);
    close(fd);
    munmap(shared, 3 * PAGE);
    munmap(private, 3 * PAGE);
    unlink("/tmp/map");
}

/// Take all memory: the child dies, the machine lives.
static void check_exhaustion(void)
{
    pid_t child = fork();
    int status;
    if (!child) {
        for (;;) {
            char *p = map(64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
            if (p == MAP_FAILED)
                _exit(0);
            for (int i = 0; i < 64; i++)
                p[i * PAGE] = 'm';
        }
    }
    waitpid(child, &status, 0);
    check_value("out of memory", status & 0x7f, SIGKILL);
    struct sysinfo s;
    sysinfo(&s);
    check("memory is back", s.freeram > s.totalram / 2, "lost");
}

static void check_bad_addresses(void)
{
    long bad[] = {8, 0x7fffffffffff, (long)0x8000000000000000, (long)0xffffffff80000000, -1};
    int good = 1;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *p = (void *)bad[i];
        good &= syscall(SYS_uname, p) < 0 && errno == EFAULT;
        good &= syscall(SYS_clock_gettime, 0, p) < 0 && errno == EFAULT;
        good &= syscall(SYS_nanosleep, p, NULL) < 0 && errno == EFAULT;
        good &= syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8) < 0 && errno == EFAULT;
        good &= syscall(SYS_execve, p, NULL, NULL) < 0 && errno == EFAULT;
        good &= syscall(SYS_getrandom, p, 8, 0) < 0 && errno == EFAULT;
        good &= syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, p) < 0 && errno == EFAULT;
    }
    check("bad addresses", good, "accepted");
    char random[300];
    check_value("getrandom", getrandom(random, sizeof random, 0), sizeof random);
}

int main(int argc, char **argv)
{
    line_output();
    signal(SIGSEGV, faulted);
    signal(SIGBUS, faulted);
    check_mmap();
    check_huge();
    check_mremap();
    check_brk();
    check_stack();
    check_file();
    check_bad_addresses();
    if (argc > 1 && !strcmp(argv[1], "exhaust"))
        check_exhaustion();
    printf("proc_memory: %d failed\n", failures);
    return failures != 0;
}
