// SPDX-License-Identifier: MIT
// User address spaces: regions, demand-zero and copy-on-write paging. Linux: mm_struct,
// vm_area_struct, mm/mmap.c, mm/memory.c.
#pragma once

#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "lib/result.h"
#include "lib/spinlock.h"
#include "mm/page.h"

/// VM_DENYWRITE: a shared mapping of a file that was not opened for writing; mprotect may not make
/// it writable.
enum vm_flag : u32 {
    VM_READ = 1,
    VM_WRITE = 2,
    VM_EXEC = 4,
    VM_SHARED = 8,
    VM_GROWSDOWN = 0x100,
    VM_DENYWRITE = 0x800,
    VM_LOCKED = 0x2000,
    VM_DONTCOPY = 0x20000,
};
constexpr u32 VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC;

/// Values of the system calls' arguments (Linux uapi/asm-generic/mman*.h). The last is ours:
/// do_mmap's caller found that a MAP_SHARED file is not open for writing.
constexpr u32 MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 0xf, MAP_FIXED = 0x10,
              MAP_ANONYMOUS = 0x20, MAP_GROWSDOWN = 0x100, MAP_LOCKED = 0x2000,
              MAP_NORESERVE = 0x4000, MAP_POPULATE = 0x8000, MAP_FIXED_NOREPLACE = 0x100000,
              MAP_RDONLY_FILE_ = 0x80000000;
constexpr u32 MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2;
/// Lowest address that a program may map (Linux vm.mmap_min_addr) and most areas of one mm
/// (vm.max_map_count).
constexpr u64 MMAP_MIN_ADDR = 65536;
extern int sysctl_max_map_count;
/// vm.overcommit_memory: 0 refuse what can never fit, 1 refuse nothing.
extern int sysctl_overcommit_memory;

/// Pages by index, made on demand: of MAP_SHARED|MAP_ANONYMOUS and System V segments. Counted.
struct shm_object;
shm_object *shm_alloc();
void shm_get(shm_object *s);
void shm_put(shm_object *s);
/// Page `index` with a reference, made on demand; null when out of memory. Any lock state.
page *shm_page(shm_object *s, u64 index);

/// One mapped region [start,end), page aligned. Protected by the mm's lock.
struct vm_area {
    rb_node node;
    u64 start = 0, end = 0;
    u32 flags = 0;
    file *vm_file = nullptr;   // referenced
    u64 pgoff = 0;             // file (or shm) offset of start, bytes
    shm_object *shm = nullptr; // pages of MAP_SHARED|MAP_ANONYMOUS; referenced
    vm_area *next_dead = nullptr;
};
struct vm_area_less {
    bool operator()(const vm_area &a, const vm_area &b) const { return a.start < b.start; }
};

/// How mm reaches files without including fs/: set by fs/ at init.
struct mm_file_ops {
    /// Read up to n bytes at `pos` into kernel memory; short at EOF. Returns bytes or -errno. [P]
    ssize_t (*read)(file *f, void *buf, size_t n, u64 pos);
    void (*get)(file *f);
    void (*put)(file *f);
    /// The file's own page `index` with a reference, or null: beyond EOF, no memory, or the file
    /// has no pages (then `read` is used, private mappings only). Optional. [P]
    page *(*get_page)(file *f, u64 index) = nullptr;
    /// Another mm runs the program `f`, which denies writing it once more; one ends. Optional.
    void (*deny_write_again)(file *f) = nullptr;
    void (*allow_write)(file *f) = nullptr;
    /// Whether the file's page `index` is in memory. Set with get_page. [P]
    bool (*resident)(file *f, u64 index) = nullptr;
    /// An area that maps `f` was made (by 1) or is to be freed (by -1). Optional.
    void (*mapped)(file *f, int by) = nullptr;
};
extern const mm_file_ops *mm_files;

/// Room for the auxiliary vector of a program (/proc/PID/auxv).
constexpr unsigned AUXV_WORDS = 48;

/// An address space, shared by the threads of a process.
struct mm_struct : pinned {
    refcount users;
    arch_pgd pgd = 0;
    /// Serialises changes of regions and page tables of this mm; a sleeping mutex (sched/mutex.h)
    /// cannot be included here, so mm.cc keeps it opaque.
    struct mm_lock *lock = nullptr;
    rbtree<vm_area, &vm_area::node, vm_area_less> areas;
    u64 start_brk = 0, brk = 0, mmap_base = 0, start_stack = 0;
    u64 arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
    std::atomic<u64> rss{0};             // pages
    u64 total_vm = 0;                    // pages
    u64 hiwater_vm = 0, hiwater_rss = 0; // highest values so far, pages
    u64 saved_auxv[AUXV_WORDS] = {};     // the auxiliary vector as execve made it
    u64 locked_vm = 0;                   // pages of VM_LOCKED areas
    u32 def_flags = 0;                   // VM_LOCKED: for areas to come (mlockall)
    std::atomic<u32> cpus{0};            // bit n: CPU n has this mm active (TLB shoot-down)
    u32 map_count = 0;                   // areas
    u32 map_seq = 0; // changes of `areas`: a fault that slept for a file page looks again
    u64 def_stack_limit = u64{8} << 20; // RLIMIT_STACK at execve, bytes
    file *exe_file = nullptr;           // the program, referenced (/proc/PID/exe)
};

/// What mm needs from sched/, which it may not include; set at boot by sched/process.cc.
struct mm_task_ops {
    /// Sleeping lock of one mm.
    mm_lock *(*lock_alloc)();
    void (*lock_free)(mm_lock *l);
    void (*lock)(mm_lock *l);
    void (*unlock)(mm_lock *l);
    /// A fault could not get memory: kill the process that has most and give it time to go. False: it
    /// is of no use to try again.
    bool (*oom_kill)();
    /// A soft limit of the current process (RLIMIT_*), ~0: none. `what` may be exceeded by whom
    /// CAP_IPC_LOCK allows to lock memory.
    u64 (*limit)(unsigned what);
    bool (*may_lock)();
    /// Count a page fault of the current task (all are minor: files live in memory).
    void (*count_fault)();
    /// A fault of user mode hit a mapped page that the file does not have.
    void (*sigbus)(u64 addr);
};
extern const mm_task_ops *mm_tasks;

/// Holds an mm's lock for a scope. [P]
class mm_guard : pinned
{
public:
    explicit mm_guard(mm_struct *mm) : l_{mm->lock} { mm_tasks->lock(l_); }
    ~mm_guard() { mm_tasks->unlock(l_); }

private:
    struct mm_lock *l_;
};

/// New empty address space, or null. [P]
mm_struct *mm_alloc();
/// Copy for fork: regions copied, pages shared copy-on-write. [P]
mm_struct *mm_dup(mm_struct *mm);
inline void mm_get(mm_struct *mm)
{
    mm->users.get();
}
/// Drop a user; the last frees everything. [P]
void mm_put(mm_struct *mm);

/// The mmap family; addresses and results as the system calls. [P]
result<u64> do_mmap(mm_struct *mm, u64 addr, u64 len, u32 prot, u32 map_flags, file *f, u64 off);
result<void> do_munmap(mm_struct *mm, u64 addr, u64 len);
result<void> do_mprotect(mm_struct *mm, u64 addr, u64 len, u32 prot);
result<u64> do_mremap(mm_struct *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
u64 do_brk(mm_struct *mm, u64 brk);
/// MADV_*; and the checks of msync/mlock (ENOMEM unless all of the range is mapped). [P]
result<void> do_madvise(mm_struct *mm, u64 addr, u64 len, int advice);
result<void> mm_check_mapped(mm_struct *mm, u64 addr, u64 len);
/// Read from an address space; returns the bytes that could be read (/proc/PID/cmdline). [P]
size_t mm_read(mm_struct *mm, u64 addr, void *buf, size_t n);
/// Read or write the memory of a living process: bytes copied. [P]
size_t mm_access(mm_struct *mm, u64 addr, void *buf, size_t n, bool write);
/// mlock, munlock (lock false) and mlockall: ENOMEM, EPERM, EAGAIN as the calls. [P]
result<void> do_mlock(mm_struct *mm, u64 addr, u64 len, bool lock);
result<void> do_mlockall(mm_struct *mm, bool current_areas, bool future_areas);
/// mincore for one page: 1 resident, 0 not; ENOMEM. [P]
result<u8> mm_resident(mm_struct *mm, u64 addr);
/// Fill with zeroes, like mm_write. [P]
result<void> mm_clear(mm_struct *mm, u64 addr, size_t n);
/// Compare and exchange a word of user memory (4-byte aligned), made writable first; returns the
/// value found. [P]
result<u32> mm_cmpxchg(mm_struct *mm, u64 addr, u32 expected, u32 desired);
/// Physical address of a byte in a MAP_SHARED area, stable while it is mapped; 0 when `addr` is
/// private memory. [P]
result<u64> mm_shared_phys(mm_struct *mm, u64 addr);
/// Visit the areas in order of address with the mm locked (/proc/PID/maps). `f` must not touch user
/// memory. [P]
void mm_for_each_area(mm_struct *mm, void (*f)(const vm_area &, void *), void *arg);
/// Boot: caches "mm_struct", "vm_area_struct".
void mm_init();
/// Copy into another (new) address space while building it (execve's stack). [P]
result<void> mm_write(mm_struct *mm, u64 addr, const void *buf, size_t n);
