// SPDX-License-Identifier: MIT
// What reaches the kernel other than by a call's arguments: the frame that a signal handler returns through, with any
// register in it, and the headers of ELF files. Each try is a child of its own.
#include "sysfuzz.h"

#include <elf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>

static struct source *handler_source;

static const uint64_t hostile_word[] = {
    0,
    0x8000000000000000,
    0x800000000000,
    0x7fffffffffff,
    0x7ffffffffffe,
    0xffff800000000000,
    0xffffffff80000000,
    0xffffffff80200000,
    0xffffffffff600000,
    ~0UL,
};

static uint64_t hostile(struct source *s)
{
    return one_in(s, 2) ? hostile_word[below(s, sizeof hostile_word / sizeof *hostile_word)]
                        : any_word(s);
}

/// Spoil one to three fields of the frame that the kernel will restore.
static void spoil(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    ucontext_t *u = context;
    struct source *s = handler_source;
    for (unsigned i = 1 + below(s, 3); i--;) {
        switch (below(s, 9)) {
        case 0:
            u->uc_mcontext.gregs[REG_RIP] = (greg_t)hostile(s);
            break;
        case 1:
            u->uc_mcontext.gregs[REG_RSP] = (greg_t)hostile(s);
            break;
        case 2: // cs, gs, fs, ss
            u->uc_mcontext.gregs[REG_CSGSFS] =
                (greg_t)(one_in(s, 2) ? next_random(s) : below(s, 0x80) * 0x1000000000001);
            break;
        case 3:
            u->uc_mcontext.gregs[REG_EFL] = (greg_t)next_random(s);
            break;
        case 4:
            u->uc_mcontext.fpregs = (void *)any_pointer(s);
            break;
        case 5: // MXCSR and the rest of the header
            if (u->uc_mcontext.fpregs)
                fill(s, u->uc_mcontext.fpregs, 32);
            break;
        case 6: // what the kernel wrote about the extended state, and that state's header
            if (u->uc_mcontext.fpregs)
                fill(s, (char *)u->uc_mcontext.fpregs + 464, 48 + (one_in(s, 2) ? 64 : 0));
            break;
        case 7:
            fill(s, &u->uc_stack, sizeof u->uc_stack);
            break;
        default:
            u->uc_mcontext.gregs[below(s, NGREG)] = (greg_t)any_word(s);
        }
    }
}

/// A stack pointer that no frame can be written to, a handler that is nowhere, entry with flags the kernel must not keep.
static void odd_entry(struct source *s)
{
    struct sigaction bad = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = (void *)any_pointer(s), .ss_size = 4096 + below(s, 8192)};
    uint64_t rsp = hostile(s),
             flags = next_random(s) & 0x47fd5; // TF, DF, NT, AC and the arithmetic ones
    switch (below(s, 5)) {
    case 0:
        sigaltstack(&stack, NULL);
        bad.sa_sigaction = spoil;
        sigaction(SIGUSR2, &bad, NULL);
        raise(SIGUSR2);
        break;
    case 1:
        bad.sa_sigaction = (void (*)(int, siginfo_t *, void *))hostile(s);
        sigaction(SIGUSR2, &bad, NULL);
        raise(SIGUSR2);
        break;
    case 2: // SIGSEGV whose handler has no stack
        bad.sa_sigaction = spoil;
        sigaction(SIGSEGV, &bad, NULL);
        __asm__ volatile("mov %0, %%rsp\n push %%rax\n ud2" ::"r"(rsp) : "memory");
        break;
    case 3: // a call with odd flags and an odd stack
        __asm__ volatile("push %1\n popfq\n mov %0, %%rsp\n mov $39, %%eax\n syscall\n mov $39, "
                         "%%eax\n syscall\n ud2" ::"r"(rsp),
                         "r"(flags)
                         : "memory", "rax", "rcx", "r11");
        break;
    default: // selectors that are not ours
        __asm__ volatile("mov %0, %%ds\n mov %0, %%es\n mov %0, %%fs\n mov %0, %%gs\n mov $39, "
                         "%%eax\n syscall" ::"r"((uint64_t)below(s, 0x80))
                         : "memory", "rax", "rcx", "r11");
    }
}

void fuzz_frames(struct source *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct source own = *s;
        own.state = next_random(s);
        pid_t child = fork();
        if (child == 0) {
            alarm(1); // a frame may be one that loops for ever
            signal(SIGALRM, SIG_DFL);
            handler_source = &own;
            struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO};
            sigaction(SIGUSR2, &action, NULL);
            if (one_in(&own, 3))
                odd_entry(&own);
            else
                raise(SIGUSR2);
            _exit(0);
        }
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        world.progress->calls[0]++;
    }
}

/// A small program: one that exits, in one page, with room for more program headers.
static size_t plain_elf(unsigned char *file)
{
    static const unsigned char code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};
    Elf64_Ehdr *e = (Elf64_Ehdr *)file;
    Elf64_Phdr *p = (Elf64_Phdr *)(e + 1);
    memset(file, 0, 2 * PAGE);
    memcpy(e->e_ident, "\177ELF\2\1\1", 7);
    e->e_type = ET_EXEC;
    e->e_machine = EM_X86_64;
    e->e_version = 1;
    e->e_entry = 0x400000 + 0x800;
    e->e_phoff = sizeof *e;
    e->e_ehsize = sizeof *e;
    e->e_phentsize = sizeof *p;
    e->e_phnum = 4;
    p[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x400000, PAGE, PAGE, PAGE};
    p[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, PAGE, 0x402000, 0x402000, 256, 3 * PAGE, PAGE};
    p[2] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    p[3] = (Elf64_Phdr){PT_NULL, PF_R, 0x900, 0x400900, 0x400900, 8, 8, 1};
    memcpy(file + 0x800, code, sizeof code);
    memcpy(file + 0x900, "./f1", 5);
    return 2 * PAGE;
}

/// Change a few fields of the headers to words at a boundary, the length, or the beginning to a script's.
static size_t mutate(struct source *s, unsigned char *file, size_t length)
{
    static const uint64_t words[] = {0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     6,
                                     7,
                                     0x38,
                                     0x1000,
                                     0x1001,
                                     0x400000,
                                     0x402000,
                                     0x7ffffffff000,
                                     0x7fffffffffff,
                                     0x800000000000,
                                     0xffffffff80000000,
                                     0xffffffff,
                                     0x7fffffff,
                                     0x80000000,
                                     ~0UL,
                                     ~0UL - 4095};
    if (one_in(s, 3))
        ((Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)))[3].p_type = PT_INTERP;
    if (one_in(s, 4))
        ((Elf64_Ehdr *)file)->e_type = ET_DYN;
    for (unsigned i = 1 + below(s, 4); i--;) {
        static const unsigned char widths[] = {1, 2, 4, 8, 8, 8};
        size_t width = widths[below(s, sizeof widths)];
        size_t at = below(s, 64 + 4 * 56) & ~(width - 1);
        uint64_t word = one_in(s, 4) ? any_word(s) : words[below(s, sizeof words / sizeof *words)];
        memcpy(file + at, &word, width);
    }
    if (one_in(s, 12))
        memcpy(file, one_in(s, 2) ? "#!./f0\n" : "#! \t./f1 x", 10);
    return one_in(s, 6) ? below(s, (unsigned)length) : length;
}

void fuzz_elf(struct source *s, unsigned count)
{
    static unsigned char file[2 * PAGE];
    for (unsigned i = 0; i < count; i++) {
        const char *name = one_in(s, 4) ? "f1" : "f0"; // f1 may be the interpreter
        size_t length = mutate(s, file, plain_elf(file));
        unlink(name);
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
        write(fd, file, length);
        close(fd);
        pid_t child = fork();
        if (child == 0) {
            alarm(1);
            signal(SIGALRM, SIG_DFL);
            execve(one_in(s, 2) ? name : "f0", (char *[]){(char *)name, NULL}, (char *[]){NULL});
            _exit(0);
        }
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        world.progress->calls[0]++;
    }
}
