// SPDX-License-Identifier: MIT
// What a program must not get away with: each try runs in a child, whose end is judged.
#include "guest_test.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static const unsigned long kernel_text = 0xffffffff80000000UL;

/// A pointer that the compiler knows nothing about.
static void *pointer_to(unsigned long address)
{
    volatile unsigned long hidden = address;
    return (void *)hidden;
}

static void read_null(void)
{
    volatile int *p = pointer_to(8);
    _exit(*p);
}
static void read_kernel(void)
{
    volatile int *p = pointer_to(kernel_text + 0x200000);
    _exit(*p);
}
static void write_own_text(void)
{
    *(volatile char *)(unsigned long)write_own_text = 0;
    _exit(0);
}
static void run_stack(void)
{
    volatile char code[16] = {(char)0xc3};
    void (*f)(void);
    volatile char *at = code;
    memcpy(&f, &at, sizeof f);
    f();
    _exit(0);
}
static void jump_kernel(void)
{
    unsigned long where = kernel_text;
    void (*f)(void);
    memcpy(&f, &where, sizeof f);
    f();
    _exit(0);
}
static void jump_noncanonical(void)
{
    unsigned long where = 0x8000000000000000UL;
    void (*f)(void);
    memcpy(&f, &where, sizeof f);
    f();
    _exit(0);
}
static void disable_interrupts(void)
{
    __asm__ volatile("cli");
    _exit(0);
}
static void port_io(void)
{
    __asm__ volatile("outb %%al, $0x80" ::"a"(0));
    _exit(0);
}
static void halt(void)
{
    __asm__ volatile("hlt");
    _exit(0);
}
static void read_cr3(void)
{
    unsigned long value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    _exit(value != 0);
}
static void undefined(void)
{
    __asm__ volatile("ud2");
}
static void divide(void)
{
    __asm__ volatile("xor %%eax, %%eax\n xor %%edx, %%edx\n idiv %%edx" ::: "eax", "edx");
    _exit(0);
}
static void stack_overflow(void)
{
    // The stack pointer is moved far below anything mapped, then used.
    __asm__ volatile("sub $0x40000000, %%rsp\n push %%rax" ::: "memory");
    _exit(0);
}
static void noncanonical_stack(void)
{
    __asm__ volatile("mov $0x8000000000000000, %%rsp\n push %%rax" ::: "memory");
    _exit(0);
}

static const struct {
    const char *name;
    void (*run)(void);
    int signal, other; // what ends it; `other` is allowed too
} tries[] = {
    {"read null", read_null, SIGSEGV, 0},
    {"read kernel memory", read_kernel, SIGSEGV, 0},
    {"write own text", write_own_text, SIGSEGV, 0},
    {"execute the stack", run_stack, SIGSEGV, 0},
    {"jump into the kernel", jump_kernel, SIGSEGV, 0},
    {"jump to a non-canonical address", jump_noncanonical, SIGSEGV, SIGBUS},
    {"cli", disable_interrupts, SIGSEGV, 0},
    {"out", port_io, SIGSEGV, 0},
    {"hlt", halt, SIGSEGV, 0},
    {"mov from cr3", read_cr3, SIGSEGV, 0},
    {"ud2", undefined, SIGILL, 0},
    {"divide by zero", divide, SIGFPE, 0},
    {"stack overflow", stack_overflow, SIGSEGV, 0},
    {"non-canonical stack", noncanonical_stack, SIGBUS, SIGSEGV},
};

static void try_in_child(unsigned i)
{
    char text[64];
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        tries[i].run();
    waitpid(pid, &status, 0);
    snprintf(text, sizeof text, "status 0x%x", (unsigned)status);
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    check(tries[i].name, number && (number == tries[i].signal || number == tries[i].other), text);
}

/// System calls with pointers that are not the caller's.
static void bad_pointers(void)
{
    static const unsigned long bad[] = {
        1, 0x7fffffffffffUL, 0x800000000000UL, 0xffff800000000000UL, 0xffffffff80100000UL, ~0UL};
    int fd = udp_socket("127.0.0.1", 0);
    struct sockaddr_in self = address_of("127.0.0.1", port_of(fd));
    char name[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *p = pointer_to(bad[i]);
        snprintf(name, sizeof name, "sendto from %lx", bad[i]);
        check_errno(name, sendto(fd, p, 64, 0, (struct sockaddr *)&self, sizeof self), EFAULT);
        sendto(fd, "hello", 5, 0, (struct sockaddr *)&self, sizeof self);
        snprintf(name, sizeof name, "recvfrom to %lx", bad[i]);
        check_errno(name, recvfrom(fd, p, 5, MSG_DONTWAIT, NULL, NULL), EFAULT);
        while (recv(fd, name, 1, MSG_DONTWAIT) >= 0)
            ;
        snprintf(name, sizeof name, "bind at %lx", bad[i]);
        check_errno(name, syscall(SYS_bind, fd, p, sizeof self), EFAULT);
        snprintf(name, sizeof name, "sendmsg at %lx", bad[i]);
        check_errno(name, syscall(SYS_sendmsg, fd, p, 0), EFAULT);
        snprintf(name, sizeof name, "open at %lx", bad[i]);
        check_errno(name, syscall(SYS_open, p, O_RDONLY), EFAULT);
        snprintf(name, sizeof name, "execve at %lx", bad[i]);
        check_errno(name, syscall(SYS_execve, "/test/hostile", p, NULL), EFAULT);
        snprintf(name, sizeof name, "write from %lx", bad[i]);
        check_errno(name, write(STDOUT_FILENO, p, 16), EFAULT);
        snprintf(name, sizeof name, "clock_gettime to %lx", bad[i]);
        check_errno(name, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p), EFAULT);
        snprintf(name, sizeof name, "getsockname to %lx", bad[i]);
        check_errno(name, syscall(SYS_getsockname, fd, p, p), EFAULT);
    }
    close(fd);
}

int main(void)
{
    line_output();
    for (unsigned i = 0; i < sizeof tries / sizeof *tries; i++)
        try_in_child(i);
    bad_pointers();
    check_errno("unknown call", syscall(5000), ENOSYS);
    check_errno("negative call", syscall(-2), ENOSYS);
    check_errno("mmap of nothing",
                (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}
