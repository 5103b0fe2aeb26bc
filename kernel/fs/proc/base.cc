// SPDX-License-Identifier: MIT
// /proc/<pid>: directories made when they are looked up. Linux: fs/proc/base.c. Process context, tree lock held during lookups and
// listings. An inode remembers a process by pid and start time and holds nothing of it, so a process can end while its files are
// open; reads then give ESRCH.

#include "fs/proc/internal.h"
#include "lib/string.h"
#include "mm/mm.h"

task_struct *get_proc_task(const proc_pid &p)
{
    task_struct *t = find_get_task(p.pid);
    if (t && t->start_time != p.start_time) {
        put_task(t);
        t = nullptr;
    }
    return t;
}

s64 parse_number(const char *name, size_t len)
{
    if (!len || len > 9 || (len > 1 && *name == '0'))
        return -1;
    s64 v = 0;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        v = v * 10 + (name[i] - '0');
    }
    return v;
}

result<dentry *> proc_instantiate(dentry *parent, const char *name, size_t len, inode *i)
{
    dentry *d = i ? d_alloc(parent, name, len, i) : nullptr;
    if (!d) {
        iput(i);
        return error{ENOMEM};
    }
    return d;
}

inode *proc_pid_inode(const proc_pid &p, u32 mode, const inode_operations *iop,
                      const file_operations *fop)
{
    auto *data = static_cast<proc_pid *>(kmalloc(sizeof(proc_pid), GFP_KERNEL));
    if (data)
        *data = p;
    inode *i = owned_inode(proc_sb(), mode, data);
    if (i) {
        i->i_op = iop;
        i->i_fop = fop;
    }
    return i;
}

namespace
{
/// Where a sleeping task waits; "0" if it does not.
void show_wchan(seq_file *m, task_struct *t)
{
    const void *at = read_once(t->wchan);
    bool asleep = t->state.load() != TASK_RUNNING && !t->on_cpu.load();
    u64 off;
    seq_puts(m, asleep && at ? kallsyms_lookup(reinterpret_cast<u64>(at), &off) : "0");
}

/// The system call that the task is in, its arguments, stack and instruction pointer.
void show_syscall(seq_file *m, task_struct *t)
{
    if (t->flags & PF_KTHREAD || (t->state.load() == TASK_RUNNING && t != current())) {
        seq_puts(m, t->flags & PF_KTHREAD ? "0\n" : "running\n");
        return;
    }
    const pt_regs *r = arch_task_regs(t);
    if (t->syscall_nr < 0) {
        seq_printf(m, "-1 0x%llx 0x%llx\n", ull(regs_sp(r)), ull(regs_ip(r)));
        return;
    }
    seq_printf(m, "%d", t->syscall_nr);
    for (unsigned i = 0; i < 6; i++)
        seq_printf(m, " 0x%llx", ull(syscall_arg(r, i)));
    seq_printf(m, " 0x%llx 0x%llx\n", ull(regs_sp(r)), ull(regs_ip(r)));
}

void show_limits(seq_file *m, task_struct *t)
{
    struct limit_name {
        const char *name, *unit;
        unsigned nr;
    };
    static const limit_name names[] = {
        {"Max cpu time", "seconds", 0},     {"Max file size", "bytes", 1},
        {"Max data size", "bytes", 2},      {"Max stack size", "bytes", 3},
        {"Max core file size", "bytes", 4}, {"Max resident set", "bytes", 5},
        {"Max processes", "processes", 6},  {"Max open files", "files", 7},
        {"Max locked memory", "bytes", 8},  {"Max address space", "bytes", 9},
        {"Max file locks", "locks", 10},    {"Max pending signals", "signals", 11},
        {"Max msgqueue size", "bytes", 12}, {"Max nice priority", "", 13},
        {"Max realtime priority", "", 14},  {"Max realtime timeout", "us", 15},
    };
    rlimit64 rlim[RLIM_NLIMITS];
    {
        spin_guard<irqsave> g{tasklist_lock};
        if (!t->signal)
            return; // a kernel thread, or on its way out: nothing limits it
        memcpy(rlim, t->signal->rlim, sizeof rlim);
    }
    seq_printf(m, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (const limit_name &l : names) {
        seq_printf(m, "%-25s ", l.name);
        for (u64 v : {rlim[l.nr].cur, rlim[l.nr].max}) {
            if (v == RLIM_INFINITY)
                seq_printf(m, "%-20s ", "unlimited");
            else
                seq_printf(m, "%-20llu ", ull(v));
        }
        if (*l.unit)
            seq_printf(m, "%-10s\n", l.unit);
        else
            seq_putc(m, '\n');
    }
}

void show_mounts_of(seq_file *m, task_struct *t, void (*show)(seq_file *, const path &))
{
    path root, pwd;
    if (!task_fs_paths(t, &root, &pwd)) {
        m->error = EINVAL;
        return;
    }
    show(m, root);
    path_put(root);
    path_put(pwd);
}
void show_pid_mounts(seq_file *m, task_struct *t)
{
    show_mounts_of(m, t, show_mounts);
}
void show_pid_mountinfo(seq_file *m, task_struct *t)
{
    show_mounts_of(m, t, show_mountinfo);
}
void show_pid_mountstats(seq_file *m, task_struct *t)
{
    show_mounts_of(m, t, show_mountstats);
}

const proc_pid_file pid_files[] = {
    {"environ", 0400, show_pid_environ},
    {"auxv", 0400, show_pid_auxv},
    {"status", 0444, show_pid_status},
    {"personality", 0400, show_pid_personality},
    {"limits", 0444, show_limits},
    {"comm", 0644, show_pid_comm, store_pid_comm},
    {"syscall", 0400, show_syscall},
    {"cmdline", 0444, show_pid_cmdline},
    {"stat", 0444, show_pid_stat},
    {"statm", 0444, show_pid_statm},
    {"maps", 0444, show_pid_maps},
    {"mounts", 0444, show_pid_mounts},
    {"mountinfo", 0444, show_pid_mountinfo},
    {"mountstats", 0400, show_pid_mountstats},
    {"smaps", 0444, show_pid_smaps},
    {"wchan", 0444, show_wchan},
    {"oom_score", 0444, show_pid_oom_score},
    {"oom_adj", 0644, show_pid_oom_adj, store_pid_oom_adj},
    {"oom_score_adj", 0644, show_pid_oom_score_adj, store_pid_oom_score_adj},
    {"io", 0400, show_pid_io},
};

/// The inode data of a text file of a process: what seq_file needs first.
struct pid_text {
    pseudo_entry entry;
    proc_pid who;
    const proc_pid_file *file;
};

void show_pid_text(seq_file *m)
{
    auto *p = static_cast<pid_text *>(m->private_data);
    task_struct *t = get_proc_task(p->who);
    if (!t) {
        m->error = ESRCH;
        return;
    }
    p->file->show(m, t);
    put_task(t);
}

int store_pid_text(char *text, size_t n, void *private_data)
{
    auto *p = static_cast<pid_text *>(private_data);
    task_struct *t = get_proc_task(p->who);
    if (!t)
        return -ESRCH;
    int r = p->file->store(t, text, n);
    put_task(t);
    return r;
}

inode *pid_text_inode(const proc_pid &who, const proc_pid_file &file)
{
    auto *p = static_cast<pid_text *>(kmalloc(sizeof(pid_text), GFP_KERNEL));
    if (p)
        *p = {{show_pid_text, file.store ? store_pid_text : nullptr, p, nullptr}, who, &file};
    inode *i = owned_inode(proc_sb(), S_IFREG | file.mode, p);
    if (i)
        i->i_fop = &seq_file_operations;
    return i;
}

/// Links that lead straight to a place: exe, cwd, root.
result<path> follow_exe(inode *i)
{
    task_struct *t = get_proc_task(pid_of(i));
    bool allowed = t && may_access_task(t);
    mm_struct *mm = allowed ? get_task_mm(t) : nullptr;
    if (t)
        put_task(t);
    if (!mm)
        return error{t && !allowed ? EACCES : ENOENT};
    file *f = mm->exe_file;
    path p = f ? path{f->f_mnt, f->f_dentry} : path{};
    path_get(p);
    mm_put(mm);
    if (!p.dentry)
        return error{ENOENT};
    return p;
}

result<path> follow_fs(inode *i, bool want_root)
{
    task_struct *t = get_proc_task(pid_of(i));
    path root, pwd;
    bool allowed = t && may_access_task(t);
    bool ok = allowed && task_fs_paths(t, &root, &pwd);
    if (t)
        put_task(t);
    if (!ok)
        return error{t && !allowed ? EACCES : ENOENT};
    path_put(want_root ? pwd : root);
    return want_root ? root : pwd;
}
result<path> follow_root(inode *i)
{
    return follow_fs(i, true);
}
result<path> follow_cwd(inode *i)
{
    return follow_fs(i, false);
}

const inode_operations exe_iops{.follow = follow_exe};
const inode_operations root_iops{.follow = follow_root};
const inode_operations cwd_iops{.follow = follow_cwd};

extern const inode_operations pid_dir_iops, task_dir_iops;
extern const file_operations pid_dir_fops, tid_dir_fops, task_dir_fops;

/// The directories and links of a process, in the order of their listing (after the text files).
struct special_entry {
    const char *name;
    u32 mode;
    const inode_operations *iop;
    const file_operations *fop;
};
const special_entry specials[] = {
    {"exe", S_IFLNK | 0777, &exe_iops, nullptr},
    {"root", S_IFLNK | 0777, &root_iops, nullptr},
    {"cwd", S_IFLNK | 0777, &cwd_iops, nullptr},
    {"fd", S_IFDIR | 0500, &proc_fd_dir_iops, &proc_fd_dir_fops},
    {"fdinfo", S_IFDIR | 0500, &proc_fdinfo_dir_iops, &proc_fdinfo_dir_fops},
    {"task", S_IFDIR | 0555, &task_dir_iops, &task_dir_fops}, // last: threads have none
};

bool same(const char *a, const char *name, size_t len)
{
    return strncmp(a, name, len) == 0 && !a[len];
}

result<dentry *> pid_lookup(dentry *dir, const char *name, size_t len)
{
    const proc_pid &who = pid_of(dir->d_inode);
    task_struct *t = get_proc_task(who);
    if (!t)
        return error{ENOENT};
    u32 uid = static_cast<u32>(t->euid), gid = static_cast<u32>(t->egid);
    put_task(t);
    inode *i = nullptr;
    bool found = false;
    for (const proc_pid_file &f : pid_files)
        if (!found && same(f.name, name, len)) {
            found = true;
            i = pid_text_inode(who, f);
        }
    for (const special_entry &s : specials)
        if (!found && same(s.name, name, len) &&
            !(s.fop == &task_dir_fops && dir->d_inode->i_fop == &tid_dir_fops)) {
            found = true;
            i = proc_pid_inode(who, s.mode, s.iop, s.fop);
        }
    if (!found)
        return error{ENOENT};
    if (i) {
        i->uid = uid;
        i->gid = gid;
    }
    return proc_instantiate(dir, name, len, i);
}

result<void> list_pid_dir(file *f, dir_context *ctx, bool thread)
{
    tree_guard g;
    if (!dcache_iterate(f, ctx))
        return {};
    u64 pos = 10;
    for (const proc_pid_file &p : pid_files)
        if (!dir_emit(ctx, p.name, strlen(p.name), pos, pos, S_IFREG) || !++pos)
            return {};
    for (const special_entry &s : specials)
        if (thread && s.fop == &task_dir_fops)
            break;
        else if (!dir_emit(ctx, s.name, strlen(s.name), pos, pos, s.mode) || !++pos)
            return {};
    return {};
}
result<void> pid_iterate(file *f, dir_context *ctx)
{
    return list_pid_dir(f, ctx, false);
}
result<void> tid_iterate(file *f, dir_context *ctx)
{
    return list_pid_dir(f, ctx, true);
}

/// Lowest pid above `after`, of process leaders (tgid 0) or of the threads of tgid; 0: no more.
s32 next_pid(s32 after, s32 tgid)
{
    struct search {
        s32 after, tgid, best;
    } s{after, tgid, 0};
    for_each_task(
        [](task_struct *t, void *arg) {
            auto *q = static_cast<search *>(arg);
            bool wanted = q->tgid ? t->tgid == q->tgid : t->group_leader == t;
            if (wanted && t->pid > q->after && (!q->best || t->pid < q->best))
                q->best = t->pid;
        },
        &s);
    return s.best;
}

constexpr u64 FIRST_PID_POS = u64{1} << 32;

/// Emit the pids behind those already listed.
void emit_pids(dir_context *ctx, s32 tgid)
{
    s32 pid = *ctx->pos > FIRST_PID_POS ? static_cast<s32>(*ctx->pos - FIRST_PID_POS) : 0;
    while ((pid = next_pid(pid, tgid))) {
        char name[16];
        int n = snprintf(name, sizeof name, "%d", pid);
        u64 pos = FIRST_PID_POS + static_cast<u64>(pid);
        if (!dir_emit(ctx, name, static_cast<size_t>(n), pos, pos, S_IFDIR))
            return;
    }
}

/// /proc/<pid> or /proc/<pid>/task/<tid>.
result<dentry *> task_dentry(dentry *dir, const char *name, size_t len, s32 tgid)
{
    s64 pid = parse_number(name, len);
    task_struct *t = pid > 0 ? find_get_task(static_cast<s32>(pid)) : nullptr;
    if (t && tgid && t->tgid != tgid) {
        put_task(t);
        t = nullptr;
    }
    if (!t)
        return error{ENOENT};
    proc_pid who{t->pid, t->start_time};
    inode *i =
        proc_pid_inode(who, S_IFDIR | 0555, &pid_dir_iops, tgid ? &tid_dir_fops : &pid_dir_fops);
    if (i) {
        i->uid = static_cast<u32>(t->euid);
        i->gid = static_cast<u32>(t->egid);
    }
    put_task(t);
    return proc_instantiate(dir, name, len, i);
}

result<dentry *> task_lookup(dentry *dir, const char *name, size_t len)
{
    return task_dentry(dir, name, len, pid_of(dir->d_inode).pid);
}

result<void> task_iterate(file *f, dir_context *ctx)
{
    tree_guard g;
    if (dcache_iterate(f, ctx))
        emit_pids(ctx, pid_of(f->f_inode).pid);
    return {};
}

result<dentry *> root_lookup(dentry *dir, const char *name, size_t len)
{
    return task_dentry(dir, name, len, 0);
}

result<void> root_iterate(file *f, dir_context *ctx)
{
    tree_guard g;
    if (dcache_iterate(f, ctx))
        emit_pids(ctx, 0);
    return {};
}

const inode_operations pid_dir_iops{.lookup = pid_lookup};
const inode_operations task_dir_iops{.lookup = task_lookup};
const inode_operations root_dir_iops{.lookup = root_lookup};
const file_operations pid_dir_fops{.llseek = dcache_dir_lseek, .iterate = pid_iterate};
const file_operations tid_dir_fops{.llseek = dcache_dir_lseek, .iterate = tid_iterate};
const file_operations task_dir_fops{.llseek = dcache_dir_lseek, .iterate = task_iterate};
const file_operations root_dir_fops{.llseek = dcache_dir_lseek, .iterate = root_iterate};

/// /proc/self: the pid of whoever reads it.
result<size_t> self_readlink(inode *, char *buf, size_t n)
{
    char text[16];
    auto len = static_cast<size_t>(snprintf(text, sizeof text, "%d", current()->tgid));
    len = min(len, n);
    memcpy(buf, text, len);
    return len;
}
/// /proc/thread-self: the same for the thread.
result<size_t> thread_self_readlink(inode *, char *buf, size_t n)
{
    char text[32];
    const task_struct *t = current();
    auto len = static_cast<size_t>(snprintf(text, sizeof text, "%d/task/%d", t->tgid, t->pid));
    len = min(len, n);
    memcpy(buf, text, len);
    return len;
}
const inode_operations self_iops{.readlink = self_readlink};
const inode_operations thread_self_iops{.readlink = thread_self_readlink};

int add_link(const char *name, const inode_operations *iops)
{
    inode *i = new_inode(proc_sb(), S_IFLNK | 0777);
    if (!i)
        return -ENOMEM;
    i->i_op = iops;
    return pseudo_add(proc_sb(), name, i);
}
} // namespace

int proc_pid_init()
{
    inode *root = proc_sb()->root->d_inode;
    root->i_op = &root_dir_iops;
    root->i_fop = &root_dir_fops;
    int err = add_link("self", &self_iops);
    err |= add_link("thread-self", &thread_self_iops);
    return err | pseudo_symlink(proc_sb(), "mounts", "self/mounts");
}
