// SPDX-License-Identifier: MIT
// The host port's side towards Linux: RAM as a memfd, fibers, console, the end of the process.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "os.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HOST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOST_ASAN 1
#endif
#endif
#ifdef HOST_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

static int ram_fd = -1;
static constexpr size_t PAGE = 4096, STACK = 512 * 1024;

[[noreturn]] static void fail(const char *what)
{
    perror(what);
    _exit(2);
}

static void *map_at(uint64_t va, size_t n, int prot, int flags, int fd, off_t off)
{
    return mmap(reinterpret_cast<void *>(va), n, prot, flags, fd, off);
}

/// exit() by somebody else (libFuzzer): like os_exit(), before any destructor of a static object.
static void leave(int status, void *)
{
    os_exit(status);
}

void os_ram_create(size_t bytes)
{
    on_exit(leave, nullptr);
    ram_fd = memfd_create("softnet-ram", MFD_CLOEXEC);
    if (ram_fd < 0 || ftruncate(ram_fd, static_cast<off_t>(bytes)) < 0)
        fail("softnet: cannot create RAM");
    if (map_at(HOST_DIRECT_MAP, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
               ram_fd, 0) == MAP_FAILED)
        fail("softnet: cannot map RAM");
    if (map_at(HOST_VMALLOC_START, HOST_VMALLOC_SIZE, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
               0) == MAP_FAILED)
        fail("softnet: cannot reserve the virtual area");
}

bool os_ram_alias(uint64_t va, uint64_t off, bool writable)
{
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return map_at(va, PAGE, prot, MAP_SHARED | MAP_FIXED, ram_fd, static_cast<off_t>(off)) !=
           MAP_FAILED;
}

void os_ram_unalias(uint64_t va)
{
    map_at(va, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

// --- fibers ---------------------------------------------------------------------------------------

struct host_fiber {
    void *sp = nullptr;
    const void *stack = nullptr; // lowest address, usable
    size_t size = 0;
    void *fake_stack = nullptr; // ASan
    void (*entry)() = nullptr;
    host_fiber *next_free = nullptr;
};
static host_fiber main_fiber;
host_fiber *os_main_fiber = &main_fiber;
static host_fiber *free_fibers;

extern "C" void host_switch_stack(void **save_sp, void *load_sp);
static host_fiber *switching_to, *switching_from;

static void arrived()
{
#ifdef HOST_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(switching_to->fake_stack, &bottom, &size);
    if (!switching_from->stack) { // the main thread's stack is known only now
        switching_from->stack = bottom;
        switching_from->size = size;
    }
#endif
}

static void fiber_start()
{
    arrived();
    switching_to->entry();
    os_abort();
}

/// Registers as host_switch_stack() leaves them, all zero, and the address it "returns" to.
static void *initial_stack(char *top)
{
#if defined(__x86_64__)
    auto *p = reinterpret_cast<void **>(top) - 8; // 6 registers, return address, alignment
    memset(p, 0, 8 * sizeof(void *));
    p[6] = reinterpret_cast<void *>(fiber_start);
#else
    auto *p = reinterpret_cast<void **>(top) - 20;
    memset(p, 0, 20 * sizeof(void *));
    p[19] = reinterpret_cast<void *>(fiber_start);
#endif
    return p;
}

host_fiber *os_fiber_create(void (*entry)())
{
    host_fiber *f = free_fibers;
    if (f) {
        free_fibers = f->next_free;
#ifdef HOST_ASAN
        __asan_unpoison_memory_region(f->stack, f->size); // frames that never returned
#endif
    } else {
        f = new host_fiber;
        void *m = mmap(nullptr, STACK + PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (m == MAP_FAILED)
            fail("softnet: no memory for a fiber");
        char *low = static_cast<char *>(m) + PAGE;
        if (mprotect(low, STACK, PROT_READ | PROT_WRITE) < 0)
            fail("softnet: fiber stack");
        f->stack = low;
        f->size = STACK;
    }
    f->entry = entry;
    f->fake_stack = nullptr;
    f->sp = initial_stack(const_cast<char *>(static_cast<const char *>(f->stack)) + f->size);
    return f;
}

void os_fiber_free(host_fiber *f)
{
    f->next_free = free_fibers;
    free_fibers = f;
}

void os_fiber_switch(host_fiber *from, host_fiber *to, bool dying)
{
    switching_from = from;
    switching_to = to;
#ifdef HOST_ASAN
    __sanitizer_start_switch_fiber(dying ? nullptr : &from->fake_stack, to->stack, to->size);
#else
    (void)dying;
#endif
    host_switch_stack(&from->sp, to->sp);
    arrived();
}

// --- the rest ---------------------------------------------------------------------------------------

void os_console(const char *s, size_t n)
{
    while (n) {
        ssize_t w = write(2, s, n);
        if (w <= 0)
            return;
        s += w;
        n -= static_cast<size_t>(w);
    }
}

void os_exit(int status)
{
    fflush(nullptr);
    _exit(status);
}

void os_abort()
{
    abort();
}

unsigned os_backtrace(uint64_t *out, unsigned max)
{
    void *frames[64];
    int n = backtrace(frames, max < 64 ? static_cast<int>(max) : 64);
    for (int i = 0; i < n; i++)
        out[i] = reinterpret_cast<uint64_t>(frames[i]);
    return n > 0 ? static_cast<unsigned>(n) : 0;
}

const char *os_symbol(uint64_t addr, uint64_t *offset)
{
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(addr), &info) || !info.dli_sname)
        return nullptr;
    *offset = addr - reinterpret_cast<uint64_t>(info.dli_saddr);
    return info.dli_sname;
}
