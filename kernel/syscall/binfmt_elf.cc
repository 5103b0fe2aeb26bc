// SPDX-License-Identifier: MIT
// Loading ELF64 programs: static, static-pie, and dynamic ones through their PT_INTERP. Linux:
// fs/binfmt_elf.c. Context: process. Every number in the file is hostile: sizes and places are
// checked before they are used.

#include "lib/cmdline.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/exec.h"

namespace
{
struct elf64_ehdr {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf64_phdr {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(elf64_ehdr) == 64 && sizeof(elf64_phdr) == 56);
static_assert(sizeof(elf64_ehdr) <= BINPRM_BUF_SIZE);

constexpr u16 ET_EXEC = 2, ET_DYN = 3;
constexpr u32 PT_LOAD = 1, PT_INTERP = 3, PT_PHDR = 6;
constexpr u32 PF_X = 1, PF_W = 2, PF_R = 4;
constexpr u16 MAX_PHNUM = 65536 / sizeof(elf64_phdr);
constexpr u32 PIE_RANDOM = (1u << 28) - 1, BRK_RANDOM = 0x2000;

/// An ELF file with its program headers in memory.
struct elf_image : pinned {
    elf64_ehdr eh{};
    elf64_phdr *ph = nullptr;
    ~elf_image() { kfree(ph); }

    u64 lowest() const
    {
        u64 lo = ~u64{0};
        for (const elf64_phdr *p = ph; p < ph + eh.phnum; p++)
            if (p->type == PT_LOAD)
                lo = min(lo, align_down(p->vaddr, PAGE_SIZE));
        return lo;
    }
    u64 highest() const
    {
        u64 hi = 0;
        for (const elf64_phdr *p = ph; p < ph + eh.phnum; p++)
            if (p->type == PT_LOAD)
                hi = max(hi, p->vaddr + p->memsz);
        return hi;
    }
};

result<void> check_header(const elf64_ehdr &eh)
{
    static constexpr u8 magic[] = {0x7f, 'E', 'L', 'F',
                                   2,    1,   1}; // 64 bits, little-endian, version 1
    if (memcmp(eh.ident, magic, sizeof(magic)) || (eh.type != ET_EXEC && eh.type != ET_DYN) ||
        eh.machine != arch_elf_machine || eh.phentsize != sizeof(elf64_phdr) || !eh.phnum ||
        eh.phnum > MAX_PHNUM)
        return error{ENOEXEC};
    return {};
}

/// Segments must lie in user space, in order, and be mappable at their file offsets.
result<void> check_segments(const elf_image &e)
{
    u64 end = 0;
    bool any = false;
    for (const elf64_phdr *p = e.ph; p < e.ph + e.eh.phnum; p++) {
        if (p->type != PT_LOAD)
            continue;
        if (p->filesz > p->memsz || p->vaddr >= TASK_SIZE || p->memsz > TASK_SIZE - p->vaddr ||
            p->offset + p->filesz < p->offset || (any && p->vaddr < end))
            return error{ENOEXEC};
        if (p->filesz && (p->vaddr - p->offset) % PAGE_SIZE)
            return error{ENOEXEC};
        end = p->vaddr + p->memsz;
        any = true;
    }
    if (!any)
        return error{ENOEXEC};
    return {};
}

result<void> read_image(elf_image &e, file *f, const char *start)
{
    memcpy(&e.eh, start, sizeof(e.eh));
    TRY_VOID(check_header(e.eh));
    size_t bytes = e.eh.phnum * sizeof(elf64_phdr);
    e.ph = static_cast<elf64_phdr *>(kmalloc(bytes, GFP_KERNEL));
    if (!e.ph)
        return error{ENOMEM};
    if (TRY(kernel_read(f, e.ph, bytes, e.eh.phoff)) != bytes)
        return error{ENOEXEC};
    return check_segments(e);
}

/// File part, then the zeroes behind it.
result<void> map_segment(mm_struct *mm, file *f, const elf64_phdr &p, u64 bias)
{
    u32 prot = (p.flags & PF_R ? u32{VM_READ} : 0) | (p.flags & PF_W ? u32{VM_WRITE} : 0) |
               (p.flags & PF_X ? u32{VM_EXEC} : 0);
    u64 start = align_down(p.vaddr + bias, PAGE_SIZE);
    u64 file_end = p.vaddr + bias + p.filesz, end = align_up(p.vaddr + bias + p.memsz, PAGE_SIZE);
    u64 mapped = start;
    if (p.filesz) {
        u64 lead = p.vaddr % PAGE_SIZE;
        TRY(do_mmap(mm, start, p.filesz + lead, prot, MAP_PRIVATE | MAP_FIXED, f, p.offset - lead));
        mapped = align_up(file_end, PAGE_SIZE);
        if (p.memsz > p.filesz && file_end < mapped && (prot & VM_WRITE))
            TRY_VOID(mm_clear(mm, file_end, mapped - file_end));
    }
    if (end > mapped)
        TRY(do_mmap(mm, mapped, end - mapped, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS,
                    nullptr, 0));
    return {};
}

result<void> map_segments(mm_struct *mm, file *f, const elf_image &e, u64 bias)
{
    for (const elf64_phdr *p = e.ph; p < e.ph + e.eh.phnum; p++)
        if (p->type == PT_LOAD && p->memsz)
            TRY_VOID(map_segment(mm, f, *p, bias));
    return {};
}

/// Difference between run-time and link-time addresses.
result<u64> choose_bias(mm_struct *mm, const elf_image &e, bool interpreter)
{
    if (e.eh.type == ET_EXEC)
        return u64{0};
    u64 lo = e.lowest(), len = align_up(e.highest(), PAGE_SIZE) - lo;
    if (interpreter) {
        // Find room by mapping it all as inaccessible; the segments replace it piece by piece.
        u64 at =
            TRY(do_mmap(mm, 0, len, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, nullptr, 0));
        return at - lo;
    }
    u64 base = align_down(TASK_SIZE / 3 * 2, PAGE_SIZE);
    if (!cmdline_has("norandmaps"))
        base += u64{get_random_u32() & PIE_RANDOM} << PAGE_SHIFT;
    if (len > mm->mmap_base || base > mm->mmap_base - len)
        return error{ENOMEM};
    return base - lo;
}

/// Name of the dynamic linker, or an empty handle when there is none.
result<file_ptr> open_interpreter(const elf_image &e, file *f)
{
    const elf64_phdr *p = e.ph;
    while (p < e.ph + e.eh.phnum && p->type != PT_INTERP)
        p++;
    if (p == e.ph + e.eh.phnum)
        return file_ptr{};
    char name[256];
    if (p->filesz < 2 || p->filesz > sizeof(name))
        return error{ENOEXEC};
    if (TRY(kernel_read(f, name, p->filesz, p->offset)) != p->filesz || name[p->filesz - 1])
        return error{ENOEXEC};
    file_ptr i = TRY(filp_open(name, O_RDONLY, 0));
    if (!s_isreg(i->f_inode->mode))
        return error{EACCES};
    return i;
}

result<void> load_interpreter(binprm &b, file *f)
{
    char start[sizeof(elf64_ehdr)];
    if (TRY(kernel_read(f, start, sizeof(start), 0)) != sizeof(start))
        return error{ELIBBAD};
    elf_image e;
    TRY_VOID(read_image(e, f, start));
    u64 bias = TRY(choose_bias(b.mm, e, true));
    TRY_VOID(map_segments(b.mm, f, e, bias));
    b.interp_base = bias;
    b.start_ip = e.eh.entry + bias;
    return {};
}

/// Where the program finds its own headers in memory.
u64 find_phdr(const elf_image &e, u64 bias)
{
    for (const elf64_phdr *p = e.ph; p < e.ph + e.eh.phnum; p++) {
        if (p->type == PT_PHDR)
            return p->vaddr + bias;
        if (p->type == PT_LOAD && p->offset <= e.eh.phoff && e.eh.phoff - p->offset < p->filesz)
            return p->vaddr + bias + (e.eh.phoff - p->offset);
    }
    return 0;
}
} // namespace

result<void> load_elf(binprm &b)
{
    elf_image e;
    if (b.buf_len < sizeof(elf64_ehdr))
        return error{ENOEXEC};
    TRY_VOID(read_image(e, b.exe.get(), b.buf));
    u64 bias = TRY(choose_bias(b.mm, e, false));
    TRY_VOID(map_segments(b.mm, b.exe.get(), e, bias));
    u64 brk = align_up(e.highest() + bias, PAGE_SIZE);
    if (!cmdline_has("norandmaps"))
        brk += u64{get_random_u32() % BRK_RANDOM} << PAGE_SHIFT;
    b.mm->start_brk = b.mm->brk = brk;
    b.load_addr = e.lowest() + bias;
    b.phdr_addr = find_phdr(e, bias);
    b.phnum = e.eh.phnum;
    b.entry = b.start_ip = e.eh.entry + bias;
    file_ptr interp = TRY(open_interpreter(e, b.exe.get()));
    if (interp.get())
        TRY_VOID(load_interpreter(b, interp.get()));
    return {};
}
