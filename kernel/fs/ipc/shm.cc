// SPDX-License-Identifier: MIT
// System V shared memory. Linux: ipc/shm.c. Process context.
//
// An attachment is a mapping of a file of its own whose pages are the segment's. Areas of address spaces that map one are counted
// (shm_nattch); a segment that was removed goes with the last of them. Files hold a reference of the segment, as a page fault may still
// use it. Lock: shm_ids.lock, taken inside an mm's lock, never around it.

#include "fs/internal.h"
#include "fs/ipc/util.h"
#include "lib/initcall.h"
#include "mm/mm.h"
#include "sched/process.h"

namespace
{
constexpr u32 SHM_RDONLY = 010000, SHM_RND = 020000, SHM_REMAP = 040000, SHM_EXEC = 0100000;
constexpr u32 SHM_HUGETLB = 04000, SHM_DEST = 01000, SHM_LOCKED = 02000;
constexpr u32 SHM_LOCK = 11, SHM_UNLOCK = 12, SHM_STAT = 13, SHM_INFO = 14;

struct shm_segment : ipc_object {
    shm_object *pages = nullptr;
    u64 size = 0;
    u64 atime = 0, dtime = 0;
    s32 cpid = 0, lpid = 0;
    u64 nattch = 0;
};

struct shmid_abi {
    ipc_perm_abi perm;
    u64 size, atime, dtime, ctime;
    s32 cpid, lpid;
    u64 nattch, unused[2];
};
static_assert(sizeof(shmid_abi) == 112);

ipc_ids shm_ids{"shm_ids"};
u64 shm_total; // pages of all segments; shm_ids.lock
int shmmax = 32 << 20, shmall = 2 << 20, shmmni = 4096;

u64 pages_of(u64 bytes)
{
    return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

shm_segment *segment_of(const file *f)
{
    return static_cast<shm_segment *>(f->private_data);
}

void put_segment(shm_segment *s)
{
    if (!s->count.put())
        return;
    if (s->pages)
        shm_put(s->pages);
    kdelete(s);
}

/// Out of the table if nobody has it attached. True: the caller drops the table's reference. Lock held.
bool remove_unused(shm_segment *s)
{
    if (!(s->mode & SHM_DEST) || s->nattch || s->removed)
        return false;
    ipc_remove(shm_ids, s);
    shm_total -= pages_of(s->size);
    return true;
}

void count_attachment(shm_segment *s, int by)
{
    bool last;
    {
        mutex_guard g{shm_ids.lock};
        s->nattch += static_cast<u64>(static_cast<s64>(by));
        s->lpid = ipc_pid();
        (by > 0 ? s->atime : s->dtime) = ipc_time();
        last = remove_unused(s);
    }
    if (last)
        put_segment(s);
}

void shm_mapped(file *f, int by)
{
    count_attachment(segment_of(f), by);
}

page *shm_file_page(file *f, u64 index)
{
    shm_segment *s = segment_of(f);
    return index < pages_of(s->size) ? shm_page(s->pages, index) : nullptr;
}

void shm_release(inode *, file *f)
{
    put_segment(segment_of(f));
}

const file_operations shm_fops{
    .release = shm_release,
    .file_page = shm_file_page,
    .mapped = shm_mapped,
};

/// A new segment in the table. Lock held.
result<ipc_object *> new_segment(s32 key, u64 size, u32 flags)
{
    if (!size || size > static_cast<u64>(read_once(shmmax)))
        return error{EINVAL};
    u64 n = pages_of(size);
    if (shm_total + n > static_cast<u64>(read_once(shmall)))
        return error{ENOSPC};
    auto *s = knew<shm_segment>(GFP_KERNEL);
    if (!s)
        return error{ENOMEM};
    s->pages = shm_alloc();
    s->size = size;
    s->cpid = ipc_pid();
    auto added = s->pages ? ipc_add(shm_ids, s, key, flags, static_cast<unsigned>(shmmni))
                          : result<void>{error{ENOMEM}};
    if (!added) {
        put_segment(s);
        return added.fail();
    }
    shm_total += n;
    return static_cast<ipc_object *>(s);
}

result<shm_segment *> find_segment(int id)
{
    return static_cast<shm_segment *>(TRY(ipc_find(shm_ids, id)));
}
} // namespace

result<int> do_shmget(s32 key, u64 size, u32 flags)
{
    if (flags & SHM_HUGETLB)
        return error{EINVAL}; // there are no huge pages
    return ipc_get(
        shm_ids, key, flags, [&] { return new_segment(key, size, flags); },
        [&](ipc_object *o) -> result<void> {
            if (static_cast<shm_segment *>(o)->size < size)
                return error{EINVAL};
            return {};
        });
}

namespace
{
/// Take back what attachment() counted for the time of the call.
void uncount(shm_segment *s)
{
    bool last;
    {
        mutex_guard g{shm_ids.lock};
        s->nattch--;
        last = remove_unused(s);
    }
    if (last)
        put_segment(s);
}

/// The file of one attachment; the segment counts as attached once more until uncount().
result<file_ptr> attachment(int id, u32 flags, u64 *size)
{
    shm_segment *s;
    char name[32];
    {
        mutex_guard g{shm_ids.lock};
        s = TRY(find_segment(id));
        TRY_VOID(ipc_permitted(s, flags & SHM_RDONLY ? S_IRUGO : S_IRUGO | S_IWUGO));
        s->count.get();
        s->nattch++; // as Linux: so that it is not removed before it is mapped
        *size = s->size;
        snprintf(name, sizeof name, "/SYSV%08x (deleted)", static_cast<u32>(s->key));
    }
    auto f = anon_inode_getfile(name, &shm_fops, s, flags & SHM_RDONLY ? O_RDONLY : O_RDWR);
    if (f)
        return file_ptr{*f};
    uncount(s);
    put_segment(s); // NOLINT(clang-analyzer-unix.Malloc): this reference is ours
    return f.fail();
}

} // namespace

result<u64> do_shmat(int id, u64 addr, u32 flags)
{
    u32 map_flags = MAP_SHARED;
    if (addr) {
        if (addr & (PAGE_SIZE - 1)) {
            if (!(flags & SHM_RND))
                return error{EINVAL};
            addr = align_down(addr, PAGE_SIZE);
        }
        map_flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    }
    if (!addr && (flags & SHM_REMAP))
        return error{EINVAL};
    u64 size = 0;
    file_ptr f = TRY(attachment(id, flags, &size));
    u32 prot = VM_READ;
    if (flags & SHM_RDONLY)
        map_flags |= MAP_RDONLY_FILE_;
    else
        prot |= VM_WRITE;
    if (flags & SHM_EXEC)
        prot |= VM_EXEC;
    auto at = do_mmap(current()->mm, addr, size, prot, map_flags, f.get(), 0);
    uncount(segment_of(f.get()));
    if (at.err() == EEXIST)
        return error{EINVAL};
    return at;
}

namespace
{
/// The attachment whose first page is at `addr`, and then what is still mapped of it.
struct attachment_search {
    u64 addr;
    file *f = nullptr; // referenced once found
    u64 start = 0, end = 0;
};

void look_for_attachment(const vm_area &a, void *arg)
{
    auto *s = static_cast<attachment_search *>(arg);
    if (s->end || !a.vm_file || a.vm_file->f_op != &shm_fops || a.start < s->addr ||
        a.start - s->addr != a.pgoff || (s->f && s->f != a.vm_file))
        return;
    if (!s->f)
        get_file(s->f = a.vm_file);
    s->start = a.start;
    s->end = a.end;
}
} // namespace

result<void> do_shmdt(u64 addr)
{
    if (addr & (PAGE_SIZE - 1))
        return error{EINVAL};
    mm_struct *mm = current()->mm;
    attachment_search s{addr};
    mm_for_each_area(mm, look_for_attachment, &s);
    if (!s.f)
        return error{EINVAL};
    while (s.end) { // mprotect may have cut it into pieces
        auto r = do_munmap(mm, s.start, s.end - s.start);
        s.start = s.end = 0;
        if (r)
            mm_for_each_area(mm, look_for_attachment, &s);
    }
    fput(s.f);
    return {};
}

namespace
{
shmid_abi segment_status(const shm_segment *s)
{
    shmid_abi d{};
    d.perm = ipc_perm_of(s);
    d.size = s->size;
    d.atime = s->atime;
    d.dtime = s->dtime;
    d.ctime = s->ctime;
    d.cpid = s->cpid;
    d.lpid = s->lpid;
    d.nattch = s->nattch;
    return d;
}

/// IPC_INFO and SHM_INFO.
result<int> shm_limits(u32 cmd, user_ptr<void> arg)
{
    u64 limits[9] = {static_cast<u64>(shmmax), 1, static_cast<u64>(shmmni),
                     static_cast<u64>(shmmni), static_cast<u64>(shmall)};
    int last;
    {
        mutex_guard g{shm_ids.lock};
        last = ipc_max_index(shm_ids);
        if (cmd == SHM_INFO) { // used ids, pages in all, resident, swapped, attempts, successes
            limits[0] = shm_ids.in_use;
            limits[1] = limits[2] = shm_total;
            limits[3] = limits[4] = limits[5] = 0;
        }
    }
    TRY_VOID(copy_to_user(arg, limits, (cmd == SHM_INFO ? 6 : 9) * sizeof(u64)));
    return last;
}

/// IPC_RMID, IPC_SET, SHM_LOCK, SHM_UNLOCK.
result<int> shm_change(int id, u32 cmd, const shmid_abi &d)
{
    shm_segment *s;
    bool last = false;
    {
        mutex_guard g{shm_ids.lock};
        s = TRY(find_segment(id));
        if (cmd == SHM_LOCK || cmd == SHM_UNLOCK) {
            auto euid = static_cast<u32>(current()->euid);
            if (!capable(CAP_IPC_LOCK) && euid != s->uid && euid != s->cuid)
                return error{EPERM};
            s->mode = cmd == SHM_LOCK ? s->mode | SHM_LOCKED : s->mode & ~SHM_LOCKED;
            return 0;
        }
        TRY_VOID(ipc_may_control(s));
        if (cmd == IPC_SET) {
            ipc_set_perm(s, d.perm);
        } else {
            s->mode |= SHM_DEST;
            s->key = IPC_PRIVATE; // nobody finds it any more
            last = remove_unused(s);
        }
    }
    if (last)
        put_segment(s);
    return 0;
}
} // namespace

result<int> do_shmctl(int id, u32 cmd, user_ptr<void> arg)
{
    if (id < 0)
        return error{EINVAL};
    shmid_abi d{};
    switch (cmd) {
    case IPC_INFO:
    case SHM_INFO:
        return shm_limits(cmd, arg);
    case IPC_STAT:
    case SHM_STAT:
        return ipc_stat(shm_ids, id, cmd == SHM_STAT, arg, segment_status);
    case IPC_SET:
        TRY_VOID(copy_from_user(&d, arg.cast<const void>(), sizeof d));
        [[fallthrough]];
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK:
        return shm_change(id, cmd, d);
    default:
        return error{EINVAL};
    }
}

namespace
{
void show_sysvipc_shm(seq_file *m)
{
    auto row = [](seq_file *to, const ipc_object *o) {
        auto *s = static_cast<const shm_segment *>(o);
        auto n = [](u64 v) { return static_cast<unsigned long long>(v); };
        seq_printf(to,
                   "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10llu %10llu %10llu "
                   "%21llu %21llu\n",
                   s->key, s->id, s->mode, n(s->size), s->cpid, s->lpid, n(s->nattch), s->uid,
                   s->gid, s->cuid, s->cgid, n(s->atime), n(s->dtime), n(s->ctime),
                   n(pages_of(s->size) * PAGE_SIZE), n(0));
    };
    ipc_show(
        m, shm_ids,
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
        "cgid      atime      dtime      ctime                   rss                  swap\n",
        row);
}

int shm_init()
{
    sysctl_create_int("kernel/shmmax", &shmmax, 0, INT32_MAX);
    sysctl_create_int("kernel/shmall", &shmall, 0, INT32_MAX);
    sysctl_create_int("kernel/shmmni", &shmmni, 0, static_cast<int>(IPCMNI));
    return proc_create("sysvipc/shm", show_sysvipc_shm);
}
fs_initcall(shm_init);
} // namespace
