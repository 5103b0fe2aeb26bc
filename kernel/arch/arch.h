// SPDX-License-Identifier: MIT
// The list of what a port provides to the kernel. Both ports (x86_64, host) implement exactly this;
// "asm/…" is found in arch/<port>/include. This is the one header of arch/ that other folders include.
#pragma once

#include "lib/cpu_times.h"
#include "lib/types.h"

struct task_struct;
struct mm_struct;
struct pt_regs;
struct file;

/// Most CPUs that the kernel can bring up.
constexpr unsigned NR_CPUS = 16;
constexpr unsigned PAGE_SHIFT = 12;
constexpr size_t PAGE_SIZE = size_t{1} << PAGE_SHIFT;
/// Kernel stack of a task, bytes; a guard page lies below it.
constexpr size_t THREAD_SIZE = 16384;

/// What a CPU knows about itself; its fields belong to that CPU alone unless said otherwise.
/// Reached by this_cpu(); the pointer is good until the task may migrate (schedule()).
struct cpu_block {
    cpu_block *self;
    task_struct *current;
    u32 id;
    /// Linux's preempt_count: SOFTIRQ_*/HARDIRQ_*/NMI parts as in lib/preempt.h.
    u32 preempt_count;
    /// Pending softirqs, bit n = vector n. Changed with IRQs off (rows R-06, B-07).
    u32 softirq_pending;
    /// Set by the scheduler (also from other CPUs) when the current task should yield.
    u32 need_resched;
    /// Depth of spinlocks held (debug builds).
    u32 lock_depth;
    cpu_times time;
};

#include "asm/cpu.h" // inline: this_cpu(), local_irq_*, cpu_relax(), barriers, arch_halt()

// --- CPUs -----------------------------------------------------------------------------------------
inline unsigned smp_processor_id()
{
    return this_cpu()->id;
}
inline task_struct *current_task()
{
    return this_cpu()->current;
}
/// CPU `cpu`'s block: each field's rules decide whether touching it is allowed.
cpu_block *arch_cpu_block(unsigned cpu);

/// Number of CPUs found and brought up (they are numbered 0…n-1). Set before early initcalls end.
unsigned num_online_cpus();
/// Start every other CPU; each runs `secondary_start_kernel()` (sched/). [P] boot CPU only.
void arch_smp_init();

/// Kinds of inter-processor interrupt.
enum class ipi : u8 { reschedule, call_function, stop, nr };
/// Ask CPU `cpu` to run handle_ipi(kind). Any context.
void arch_send_ipi(unsigned cpu, ipi kind);

// --- Interrupts -----------------------------------------------------------------------------------
/// Address and data of the MSI message that raises interrupt `irq` on CPU `cpu`.
struct msi_msg {
    u64 address;
    u32 data;
};
/// Reserve a CPU vector for Linux-style interrupt number `irq` on `cpu`; fills `msg`.
/// Returns 0 or -ENOSPC. [P]
int arch_setup_msi(unsigned irq, unsigned cpu, msi_msg *msg);
void arch_free_msi(unsigned irq);
/// Route a legacy ISA/GSI line (the serial port) to `irq`. Returns 0 or -errno. [P]
int arch_setup_gsi(unsigned gsi, unsigned irq, unsigned cpu);

// --- Time -----------------------------------------------------------------------------------------
/// Monotonic nanoseconds since boot; the same on all CPUs. Any context.
u64 arch_clock_ns();
/// Nanoseconds that a number of arch_cycles() lasts. (arch_cycles(), inline in asm/cpu.h, is what that clock counts, for those who
/// read it often and convert seldom. Any context.)
u64 arch_cycles_to_ns(u64 cycles);
/// Seconds since 1970 at boot, from the RTC. [P] boot.
u64 arch_boot_epoch_s();
/// Ask for one timer interrupt on this CPU at `deadline_ns` (arch_clock_ns scale; ~0: none).
/// It ends in timer_interrupt() (time/). IRQs off.
void arch_timer_program(u64 deadline_ns);
/// Busy-wait. Any context; boot and device bring-up only.
void arch_udelay(u64 us);

// --- Tasks ----------------------------------------------------------------------------------------
/// The port's part of a task: saved stack pointer, FPU state, TLS bases. Defined in asm/thread.h.
struct thread_struct;
/// Switch CPU from `prev` to `next` (stack, address space, TLS, FPU). IRQs off, rq lock held; returns
/// in the context of whoever later switches back, with the task that was running before as result.
task_struct *arch_switch_to(task_struct *prev, task_struct *next);
/// Prepare `t` (stack allocated) so that its first switch-in runs `entry(arg)` after schedule_tail().
void arch_thread_init(task_struct *t, void (*entry)(void *), void *arg);
/// Prepare `t` as a copy of the user task whose system-call frame is `regs`, returning 0 to user
/// mode at `user_sp` (0: same) with `tls` (0: same).
void arch_thread_fork(task_struct *t, const pt_regs *regs, u64 user_sp, u64 tls);
/// Leave for user mode for the first time (execve): never returns. [P]
[[noreturn]] void arch_enter_user(u64 ip, u64 sp);
/// Reset registers of a task after a successful execve so that the system call's return enters the
/// new image. [P]
void arch_start_thread(pt_regs *regs, u64 ip, u64 sp);
/// What a signal handler's frame is made of (sched/signal.h); fields as the handler's sigaction and the thread have them.
struct signal_frame {
    unsigned sig;
    const struct kernel_siginfo *info;
    u64 handler, flags, restorer;
    u64 blocked; // mask to be restored by sigreturn
    u64 sas_sp, sas_size;
    u32 sas_flags;
};
/// Write the frame to the user's stack and aim `regs` at the handler. False: the stack cannot be written. [P]
bool arch_setup_signal_frame(pt_regs *regs, const signal_frame &f);
/// rt_sigreturn: load `regs` (and FPU) from the frame; *blocked and the sas fields get what it holds. False: bad frame. [P]
bool arch_restore_signal_frame(pt_regs *regs, signal_frame *f);
/// Result of the system call that `regs` returns from; and change it.
s64 arch_syscall_result(const pt_regs *regs);
void arch_set_syscall_result(pt_regs *regs, s64 v);
/// Make the return to user mode execute a system call again: number `nr`, the same arguments.
void arch_restart_syscall(pt_regs *regs, u64 nr);
/// For the auxiliary vector: AT_HWCAP (x86: CPUID 1 EDX) and AT_PLATFORM; e_machine of the programs that run here.
u64 arch_hwcap();
const char *arch_platform();
extern const u16 arch_elf_machine;
/// Call row(arg, name, value) for each line of CPU `cpu` in /proc/cpuinfo; names carry their tabs.
void arch_describe_cpu(unsigned cpu, void (*row)(void *arg, const char *name, const char *value),
                       void *arg);
/// Free the port's part of a dead task.
void arch_thread_free(task_struct *t);
/// The user registers of a task blocked in or running a system call (top of its kernel stack).
pt_regs *arch_task_regs(task_struct *t);
/// Instruction pointer where a sleeping task called schedule(), for wchan and backtraces.
u64 arch_task_wchan_ip(const task_struct *t);
/// Set/get the TLS base (arch_prctl FS/GS).
void arch_set_tls(u64 base);
u64 arch_get_tls();

// --- Memory ---------------------------------------------------------------------------------------
/// Direct map: every RAM page frame is reachable. phys < end of RAM.
void *phys_to_virt(phys_addr_t p);
phys_addr_t virt_to_phys(const void *v);
/// Uncached mapping of device registers. Returns null when out of address space. [P]
void *ioremap(phys_addr_t p, size_t size);

enum page_prot : u32 {
    PROT_READ_ = 1,
    PROT_WRITE_ = 2,
    PROT_EXEC_ = 4,
    PROT_USER_ = 8,
    PROT_NC_ = 16
};
/// Page tables of one address space. `arch_pgd` is opaque: a physical root.
using arch_pgd = u64;
/// New user address space sharing the kernel half; 0 when out of memory. [P]
arch_pgd arch_pgd_alloc();
/// Free all page-table pages (not the mapped frames). No CPU may use it.
void arch_pgd_free(arch_pgd pgd);
/// Pages that the tables of the user half take, for /proc. mm lock held.
u64 arch_pgd_pages(arch_pgd pgd);
/// Page-table pages of the whole machine.
u64 arch_table_pages();
/// Map one page; replaces. Returns false when out of memory for tables. mm lock held.
/// PROT_USER_ alone (mprotect PROT_NONE) keeps the page, found by query and unmap, but every access to it faults, also
/// those of arch_copy_*_user.
bool arch_map_page(arch_pgd pgd, u64 va, phys_addr_t pa, u32 prot);
/// Unmap one page; returns the old physical address, or ~0 when nothing was mapped.
phys_addr_t arch_unmap_page(arch_pgd pgd, u64 va);
/// Look one page up: physical address and protection, or ~0.
phys_addr_t arch_query_page(arch_pgd pgd, u64 va, u32 *prot);
/// Lowest page address in [va,end) that has a page (PROT_NONE ones too), or `end`. Steps over empty tables, so that walking
/// a huge empty range is cheap. mm lock held.
u64 arch_next_mapped(arch_pgd pgd, u64 va, u64 end);
/// Invalidate [start,end) of `pgd` on every CPU that may hold it. IRQs on, no spinlock held.
void arch_flush_tlb(mm_struct *mm, u64 start, u64 end);
/// The same for kernel mappings (vmalloc). arch_kernel_pgd() is their table.
void arch_flush_tlb_kernel(u64 start, u64 end);
arch_pgd arch_kernel_pgd();
/// Switch this CPU to `mm`'s tables (null: kernel only). Called by arch_switch_to and execve. IRQs off.
void arch_activate_mm(mm_struct *mm);
/// The kernel's virtual area for vmalloc and stacks.
extern const u64 VMALLOC_START, VMALLOC_END;
/// First address beyond user space.
extern const u64 TASK_SIZE;

/// Copy between user and kernel; returns the number of bytes NOT copied (0 = all). May fault and sleep
/// on demand paging: [P] with IRQs on, no spinlock held. Addresses beyond TASK_SIZE copy nothing.
size_t arch_copy_from_user(void *to, const void *from_user, size_t n);
size_t arch_copy_to_user(void *to_user, const void *from, size_t n);
size_t arch_clear_user(void *to_user, size_t n);
/// Length of a user string incl. NUL copied to `to`, or -EFAULT; `n` when it does not end within n.
ssize_t arch_strncpy_from_user(char *to, const char *from_user, size_t n);
/// Internet checksum of a copy from user: adds the 16-bit ones-complement sum of the bytes to *csum.
/// Returns bytes not copied.
size_t arch_csum_and_copy_from_user(void *to, const void *from_user, size_t n, u32 *csum);

/// Usable RAM found at boot, as [start,end) physical; the kernel image and modules are excluded.
struct mem_range {
    phys_addr_t start, end;
};
unsigned arch_memory_map(mem_range *out, unsigned max);

// --- Platform -------------------------------------------------------------------------------------
/// Console output, polled; any context. Serialised by printk.
void arch_console_write(const char *s, size_t n);
/// Kernel command line, NUL-terminated.
const char *arch_command_line();
/// The initramfs as the boot loader left it.
void arch_initrd(const u8 **start, size_t *size);
/// Hardware random number if there is one (RDRAND). Returns false if not.
bool arch_random(u64 *v);
/// Interrupt controllers, clock and timer of the boot CPU. Boot, IRQs off, after vmalloc_init(). Called by start_kernel().
void arch_platform_init();
/// The boot CPU leaves its boot stack for one with a guard page and enters cpu_idle_loop(). Called by start_kernel().
[[noreturn]] void arch_boot_cpu_idle();
[[noreturn]] void arch_power_off();
[[noreturn]] void arch_restart();
/// Stop this CPU for good with IRQs off (panic).
[[noreturn]] void arch_stop_cpu();
/// Store up to `max` return addresses of the current call chain, innermost first.
unsigned arch_backtrace(u64 *out, unsigned max, const pt_regs *from);
/// PCI configuration space windows (ACPI MCFG): base of bus 0, or 0 when there is none.
phys_addr_t arch_pci_ecam_base(u8 *first_bus, u8 *last_bus);

// --- What the kernel provides to the port -----------------------------------------------------------
/// Entry for every device interrupt. IRQs off, on the interrupted stack; does irq_enter/irq_exit. (irq/)
void do_irq(unsigned irq, pt_regs *regs);
/// Local timer interrupt: same rules. (time/)
void timer_interrupt(pt_regs *regs);
/// Inter-processor interrupt: same rules. (sched/)
void handle_ipi(ipi kind, pt_regs *regs);
/// First C++ code on the boot CPU / on each other CPU. (init/)
[[noreturn]] void start_kernel();
[[noreturn]] void secondary_start_kernel();
/// Page fault at `addr`: 0 when resolved (retry), else the si_code of SIGSEGV: 1 nothing is mapped there, 2 no such access is
/// allowed. `user`: from user mode. IRQs on. (mm/)
int handle_mm_fault(mm_struct *mm, u64 addr, bool write, bool exec, bool user);
/// An exception of user mode that has no fix: `signal` with si_code `code` and address. (sched/)
void user_exception(pt_regs *regs, int signal, int code, u64 addr);
/// System call and all that exit_to_user() does. [P] IRQs off. Returns the value for the user's rax. (syscall/)
s64 do_syscall(pt_regs *regs);
/// On every return to user mode, IRQs off: reschedule, deliver signals. (sched/)
void exit_to_user(pt_regs *regs);
/// First code of a new task after the switch: finishes the switch. (sched/)
void schedule_tail(task_struct *prev);
