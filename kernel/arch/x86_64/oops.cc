// SPDX-License-Identifier: MIT
// Fatal faults of the kernel: registers, then panic. Also the frame-pointer walk. Any context.
#include "internal.h"
#include "lib/printk.h"
#include "sched/sched.h"

extern "C" u64 __extable_start[], __extable_end[];

// Pairs (faulting address, continuation), few enough for a linear search off the hot path.
u64 extable_find(u64 ip)
{
    for (u64 *e = __extable_start; e < __extable_end; e += 2)
        if (e[0] == ip)
            return e[1];
    return 0;
}

static const pt_regs *die_regs;

static bool kernel_address(u64 a)
{
    return a >= DIRECT_MAP && (a & 7) == 0;
}

/// Whether the two words at frame pointer `bp` can be read: mapped in the kernel's tables.
static bool readable(u64 bp)
{
    if (!kernel_address(bp) || bp > ~u64{0} - 16)
        return false;
    if (bp >= VMALLOC_START && bp < VMALLOC_END)
        return arch_query_page(arch_kernel_pgd(), bp, nullptr) != ~u64{0} &&
               arch_query_page(arch_kernel_pgd(), bp + 8, nullptr) != ~u64{0};
    return bp >= KERNEL_BASE
               ? bp >= reinterpret_cast<u64>(_text) && bp + 16 <= reinterpret_cast<u64>(_end)
               : false;
}

unsigned arch_backtrace(u64 *out, unsigned max, const pt_regs *from)
{
    if (!from)
        from = die_regs;
    unsigned n = 0;
    u64 bp;
    if (from && !user_mode(from)) {
        bp = from->bp;
        if (n < max)
            out[n++] = from->ip;
    } else {
        bp = reinterpret_cast<u64>(__builtin_frame_address(0));
    }
    while (n < max && readable(bp)) {
        auto *f = reinterpret_cast<const u64 *>(bp);
        if (!f[1])
            break;
        out[n++] = f[1];
        if (f[0] <= bp)
            break;
        bp = f[0];
    }
    return n;
}

void die(const char *what, pt_regs *r, u64 addr)
{
    local_irq_disable();
    die_regs = r;
    printk(KERN_EMERG, "Oops: %s at %pS, address %016lx, code %04lx\n", what,
           reinterpret_cast<void *>(r->ip), addr, r->orig_ax);
    printk(KERN_EMERG, "RIP: %04lx:%016lx RSP: %04lx:%016lx EFLAGS: %08lx\n", r->cs, r->ip, r->ss,
           r->sp, r->flags);
    printk(KERN_EMERG, "RAX: %016lx RBX: %016lx RCX: %016lx RDX: %016lx\n", r->ax, r->bx, r->cx,
           r->dx);
    printk(KERN_EMERG, "RSI: %016lx RDI: %016lx RBP: %016lx R08: %016lx\n", r->si, r->di, r->bp,
           r->r8);
    printk(KERN_EMERG, "R09: %016lx R10: %016lx R11: %016lx R12: %016lx\n", r->r9, r->r10, r->r11,
           r->r12);
    printk(KERN_EMERG, "R13: %016lx R14: %016lx R15: %016lx CR3: %016lx\n", r->r13, r->r14, r->r15,
           read_cr3());
    panic("%s", what);
}
