// SPDX-License-Identifier: MIT
// The initial stack of a program: strings, argv, envp, auxiliary vector. Linux: fs/exec.c
// copy_strings, fs/binfmt_elf.c create_elf_tables; System V ABI x86_64 §3.4.1. Context: process.
// The new mm is still private to us.

#include "lib/cmdline.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "syscall/exec.h"

namespace
{
constexpr u64 AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7,
              AT_FLAGS = 8, AT_ENTRY = 9, AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14,
              AT_PLATFORM = 15, AT_HWCAP = 16, AT_CLKTCK = 17, AT_SECURE = 23, AT_RANDOM = 25,
              AT_EXECFN = 31;
constexpr size_t AUXV_PAIRS = 19;
constexpr u64 USER_HZ = 100;
constexpr u64 ELF64_PHDR_SIZE = 56;
/// Random bits of the stack's and mmap's place, pages (Linux x86_64: 22 and 28).
constexpr u32 STACK_RANDOM = (1u << 22) - 1, MMAP_RANDOM = (1u << 28) - 1;

u64 random_pages(u32 mask)
{
    return cmdline_has("norandmaps") ? 0 : u64{get_random_u32() & mask} << PAGE_SHIFT;
}

/// Copies strings downwards from the top of the new stack.
class string_copier : pinned
{
public:
    string_copier(binprm &b, u64 limit)
        : b_{b}, left_{limit}, bounce_{static_cast<char *>(get_free_pages(GFP_KERNEL, 0))}
    {
    }
    ~string_copier() { free_pages(bounce_); }

    result<void> kernel(const char *s) { return put(s, strlen(s) + 1); }
    result<void> user(u64 addr)
    {
        if (!bounce_)
            return error{ENOMEM};
        size_t n = TRY(fetch(addr));
        if (n <= PAGE_SIZE)
            return put(bounce_, n);
        return put_long(addr, n);
    }
    /// Bytes that pointers to the strings take as well.
    result<void> charge(u64 n)
    {
        if (n > left_)
            return error{E2BIG};
        left_ -= n;
        return {};
    }

private:
    /// Length with NUL; the first page of it is in bounce_.
    result<size_t> fetch(u64 addr)
    {
        size_t n = TRY(piece(addr));
        size_t total = n;
        while (n == PAGE_SIZE && bounce_[n - 1]) {
            if (total >= MAX_ARG_STRLEN)
                return error{E2BIG};
            n = TRY(piece(addr + total));
            total += n;
        }
        return total;
    }
    result<size_t> piece(u64 addr)
    {
        ssize_t n =
            arch_strncpy_from_user(bounce_, reinterpret_cast<const char *>(addr), PAGE_SIZE);
        if (n < 0)
            return error{EFAULT};
        return static_cast<size_t>(n);
    }
    result<void> put(const char *s, size_t n)
    {
        TRY_VOID(charge(n));
        b_.p -= n;
        return mm_write(b_.mm, b_.p, s, n);
    }
    /// The program may change the string meanwhile: what counts is the length found first, and the
    /// final NUL.
    result<void> put_long(u64 addr, size_t n)
    {
        TRY_VOID(charge(n));
        b_.p -= n;
        for (size_t done = 0; done < n - 1;) {
            size_t k = min(n - 1 - done, PAGE_SIZE);
            TRY_VOID(copy_from_user(bounce_, user_ptr<const void>{addr + done}, k));
            TRY_VOID(mm_write(b_.mm, b_.p + done, bounce_, k));
            done += k;
        }
        return mm_clear(b_.mm, b_.p + n - 1, 1);
    }

    binprm &b_;
    u64 left_;
    char *bounce_;
};

result<size_t> count(const string_vector &v, u64 limit)
{
    for (size_t n = 0; n <= limit; n++)
        if (!TRY(v.at(n)))
            return n;
    return error{E2BIG};
}

/// Strings [skip,n) of `v`, last first, their addresses to out[0…].
result<void> copy_vector(binprm &b, string_copier &c, const string_vector &v, size_t skip, size_t n,
                         u64 *out)
{
    while (n-- > skip) {
        u64 s = TRY(v.at(n));
        if (v.kernel)
            TRY_VOID(c.kernel(reinterpret_cast<const char *>(s)));
        else
            TRY_VOID(c.user(s));
        out[n - skip] = b.p;
    }
    return {};
}

result<void> copy_all(binprm &b, u64 limit)
{
    size_t given = TRY(count(b.argv, limit / sizeof(u64)));
    b.envc = TRY(count(b.envp, limit / sizeof(u64)));
    size_t skip = b.nr_prefix && given ? 1 : 0; // argv[0] gives way to #! strings
    b.argc = b.nr_prefix + given - skip;
    size_t slots = b.argc + b.envc;
    if (slots > limit / sizeof(u64))
        return error{E2BIG};
    b.strings = static_cast<u64 *>(vzalloc((slots + 1) * sizeof(u64)));
    if (!b.strings)
        return error{ENOMEM};
    string_copier c{b, limit};
    TRY_VOID(c.charge(slots * sizeof(u64)));
    TRY_VOID(c.kernel(b.filename));
    b.exec_addr = b.p;
    b.mm->env_end = b.p;
    TRY_VOID(copy_vector(b, c, b.envp, 0, b.envc, b.strings + max(b.argc, size_t{1})));
    b.mm->env_start = b.mm->arg_end = b.p;
    TRY_VOID(copy_vector(b, c, b.argv, skip, given, b.strings + b.nr_prefix));
    if (!b.argc) { // a program always has a name: programs look at argv[0] unasked
        TRY_VOID(c.kernel(""));
        b.strings[0] = b.p;
        b.argc = 1;
    }
    for (unsigned i = b.nr_prefix; i-- > 0;) {
        TRY_VOID(c.kernel(b.prefix[i]));
        b.strings[i] = b.p;
    }
    b.mm->arg_start = b.p;
    return {};
}
} // namespace

result<u64> string_vector::at(size_t i) const
{
    if (kernel)
        return reinterpret_cast<u64>(kernel[i]);
    u64 s = 0;
    if (user) // a null vector is an empty one
        TRY_VOID(get_user(s, user_ptr<u64>{user + i * sizeof(u64)}));
    return s;
}

result<void> setup_arg_pages(binprm &b)
{
    signal_state *s = current()->signal;
    u64 stack_limit = s->rlim[RLIMIT_STACK].cur;
    u64 top = TASK_SIZE - PAGE_SIZE - random_pages(STACK_RANDOM);
    mm_struct *mm = b.mm;
    mm->def_stack_limit = min(stack_limit, TASK_SIZE / 6 * 5);
    u64 gap = max(min(mm->def_stack_limit, TASK_SIZE / 6 * 5), u64{128} << 20);
    mm->mmap_base = top - align_up(gap, PAGE_SIZE) - PAGE_SIZE - random_pages(MMAP_RANDOM);
    u64 first = 32 * PAGE_SIZE;
    TRY(do_mmap(mm, top - first, first, VM_READ | VM_WRITE,
                MAP_PRIVATE | MAP_FIXED | MAP_GROWSDOWN | MAP_ANONYMOUS, nullptr, 0));
    b.stack_top = top;
    b.p = top - sizeof(u64); // Linux leaves a null word at the very top
    return copy_all(b, max(min(stack_limit / 4, u64{6} << 20), u64{32} * PAGE_SIZE));
}

namespace
{
struct auxv_builder {
    u64 *at;
    void add(u64 type, u64 value)
    {
        *at++ = type;
        *at++ = value;
    }
};

void fill_auxv(const binprm &b, u64 *to, u64 random_addr, u64 platform_addr)
{
    task_struct *t = current();
    auxv_builder v{to};
    v.add(AT_HWCAP, arch_hwcap());
    v.add(AT_PAGESZ, PAGE_SIZE);
    v.add(AT_CLKTCK, USER_HZ);
    v.add(AT_PHDR, b.phdr_addr);
    v.add(AT_PHENT, ELF64_PHDR_SIZE);
    v.add(AT_PHNUM, b.phnum);
    v.add(AT_BASE, b.interp_base);
    v.add(AT_FLAGS, 0);
    v.add(AT_ENTRY, b.entry);
    v.add(AT_UID, static_cast<u64>(t->uid));
    v.add(AT_EUID, static_cast<u64>(b.euid));
    v.add(AT_GID, static_cast<u64>(t->gid));
    v.add(AT_EGID, static_cast<u64>(b.egid));
    v.add(AT_SECURE, b.secure());
    v.add(AT_RANDOM, random_addr);
    v.add(AT_EXECFN, b.exec_addr);
    v.add(AT_PLATFORM, platform_addr);
    v.add(AT_NULL, 0);
}
} // namespace

result<void> create_elf_tables(binprm &b)
{
    const char *platform = arch_platform();
    size_t n = strlen(platform) + 1;
    b.p = align_down(b.p, 16) - align_up(n, 16);
    u64 platform_addr = b.p;
    TRY_VOID(mm_write(b.mm, b.p, platform, n));
    u8 random[16];
    get_random_bytes(random, sizeof(random));
    b.p -= sizeof(random);
    u64 random_addr = b.p;
    TRY_VOID(mm_write(b.mm, b.p, random, sizeof(random)));
    // argc, argv…, null, envp…, null, auxv; the stack pointer ends 16-byte aligned.
    size_t words = 1 + b.argc + 1 + b.envc + 1 + 2 * AUXV_PAIRS;
    b.p = align_down(b.p - words * sizeof(u64), 16);
    auto *w = static_cast<u64 *>(vzalloc(words * sizeof(u64)));
    if (!w)
        return error{ENOMEM};
    w[0] = b.argc;
    memcpy(w + 1, b.strings, b.argc * sizeof(u64));
    memcpy(w + 1 + b.argc + 1, b.strings + b.argc, b.envc * sizeof(u64));
    fill_auxv(b, w + 1 + b.argc + 1 + b.envc + 1, random_addr, platform_addr);
    static_assert(2 * AUXV_PAIRS <= AUXV_WORDS);
    memcpy(b.mm->saved_auxv, w + words - 2 * AUXV_PAIRS, 2 * AUXV_PAIRS * sizeof(u64));
    auto r = mm_write(b.mm, b.p, w, words * sizeof(u64));
    vfree(w);
    b.mm->start_stack = b.p;
    return r;
}
