// SPDX-License-Identifier: MIT
// execve: the steps, and the point of no return. Linux: fs/exec.c do_execve_common, flush_old_exec.
// Context: process. Locks: none held across; those of mm, files and signals inside.

#include "syscall/exec.h"
#include "fs/file.h"
#include "fs/namei.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "syscall/process.h"

namespace
{
const process_file_ops file_ops{files_dup,     files_get,     files_put,
                                fs_struct_dup, fs_struct_get, fs_struct_put};

int exec_init()
{
    process_files = &file_ops;
    return 0;
}
early_initcall(exec_init);

/// Handlers point into the old image: back to the default. Ignored signals stay ignored.
void flush_signal_handlers(signal_state *s)
{
    spin_guard<irqsave> g{s->hand->lock};
    for (kernel_sigaction &a : s->hand->action) {
        u64 handler = a.handler == SIG_IGN ? SIG_IGN : SIG_DFL;
        a = {};
        a.handler = handler;
    }
}

void change_mm(mm_struct *mm)
{
    task_struct *t = current();
    mm_struct *old = t->mm;
    if (old)
        mm_release();
    {
        spin_guard<irqsave> g{t->pi_lock}; // against get_task_mm()
        t->mm = mm;
        arch_activate_mm(mm);
    }
    if (old)
        mm_put(old);
}

} // namespace

result<void> unshare_files()
{
    task_struct *t = current();
    if (!files_shared(t->files))
        return {};
    files_struct *mine = files_dup(t->files);
    if (!mine)
        return error{ENOMEM};
    files_struct *old = t->files;
    t->files = mine;
    files_put(old);
    return {};
}

namespace
{

/// Set-id bits of the file: the ids that the program will run with.
void prepare_creds(binprm &b)
{
    constexpr u32 S_ISUID = 04000, S_ISGID = 02000, S_IXGRP = 010, MS_NOSUID = 2;
    task_struct *t = current();
    b.euid = t->euid;
    b.egid = t->egid;
    const inode *i = b.exe->f_inode;
    if (t->cred.no_new_privs || (b.exe->f_mnt && (b.exe->f_mnt->flags & MS_NOSUID)))
        return;
    if (i->mode & S_ISUID)
        b.euid = static_cast<s32>(i->uid);
    if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        b.egid = static_cast<s32>(i->gid);
}

void change_creds(const binprm &b)
{
    task_struct *t = current();
    bool changes = b.euid != t->euid || b.egid != t->egid;
    t->euid = b.euid;
    t->egid = b.egid;
    creds_for_exec();
    t->signal->dumpable = b.secure() || changes ? 0 : 1;
    if (changes || b.secure())
        t->pdeath_signal = 0;
}

/// From here on the old program is gone.
void become(binprm &b)
{
    task_struct *t = current();
    const char *slash = strrchr(b.filename, '/');
    change_creds(b);
    change_mm(b.mm);
    b.mm = nullptr;
    files_close_on_exec(t->files);
    flush_signal_handlers(t->signal);
    t->sig.sas_sp = t->sig.sas_size = 0;
    t->sig.sas_flags = 2;
    t->sig.restart_at.fn = nullptr;
    exit_itimers(t->signal);
    t->flags &= ~(PF_FORKNOEXEC | PF_KTHREAD);
    strlcpy(t->comm, slash ? slash + 1 : b.filename, sizeof(t->comm));
}

result<void> load_binary(binprm &b)
{
    for (unsigned n = 0;; n++) {
        if (!TRY(load_script(b)))
            break;
        if (n == MAX_INTERPRETERS)
            return error{ELOOP};
    }
    prepare_creds(b);
    b.mm = mm_alloc();
    if (!b.mm)
        return error{ENOMEM};
    TRY_VOID(setup_arg_pages(b));
    TRY_VOID(load_elf(b));
    TRY_VOID(create_elf_tables(b));
    b.mm->exe_file = b.denied; // with its reference and its denial of writes
    b.denied = nullptr;
    return {};
}

result<void> do_execve(binprm &b)
{
    TRY_VOID(open_exec(b, b.filename));
    TRY_VOID(load_binary(b));
    if (int err = de_thread())
        return error{static_cast<errno_t>(-err)};
    TRY_VOID(unshare_files());
    TRY_VOID(unshare_sighand());
    become(b);
    return {};
}
} // namespace

result<void> binprm::deny_write(file *f)
{
    TRY_VOID(deny_write_access(f->f_inode));
    if (denied) { // a script's interpreter takes its place
        allow_write_access(denied->f_inode);
        fput(denied);
    }
    denied = f;
    get_file(f);
    return {};
}

binprm::~binprm()
{
    if (denied) {
        allow_write_access(denied->f_inode);
        fput(denied);
    }
    if (mm)
        mm_put(mm);
    kfree(interp);
    for (unsigned i = 0; i < nr_prefix; i++)
        kfree(prefix[i]);
    vfree(strings);
}

result<void> open_exec(binprm &b, const char *path)
{
    // The place first: opening a FIFO would wait, a device act.
    file_ptr place = TRY(filp_open(path, O_PATH, 0));
    if (!s_isreg(place->f_inode->mode))
        return error{EACCES};
    TRY_VOID(inode_permission(place->f_inode, MAY_EXEC));
    constexpr u32 MS_NOEXEC = 8;
    if (place->f_mnt && (place->f_mnt->flags & MS_NOEXEC))
        return error{EACCES};
    file_ptr f = TRY(dentry_open(::path{place->f_mnt, place->f_dentry}, O_RDONLY));
    TRY_VOID(b.deny_write(f.get()));
    memset(b.buf, 0, sizeof(b.buf));
    b.buf_len = TRY(kernel_read(f.get(), b.buf, sizeof(b.buf), 0));
    b.exe = std::move(f);
    return {};
}

result<void> sys_execve(pt_regs *regs, user_ptr<const char> name, u64 argv, u64 envp)
{
    user_path path;
    TRY_VOID(path.get(name.addr()));
    if (!path.c_str()[0])
        return error{ENOENT};
    u64 ip, sp;
    {
        binprm b;
        b.filename = path.c_str();
        b.argv.user = argv;
        b.envp.user = envp;
        TRY_VOID(do_execve(b));
        ip = b.start_ip;
        sp = b.p;
    }
    arch_start_thread(regs, ip, sp);
    return {};
}

int kernel_execve(const char *path, const char *const argv[], const char *const envp[])
{
    u64 ip, sp;
    {
        binprm b;
        b.filename = path;
        b.argv.kernel = argv;
        b.envp.kernel = envp;
        auto r = do_execve(b);
        if (!r)
            return -r.err();
        ip = b.start_ip;
        sp = b.p;
    }
    arch_enter_user(ip, sp);
}
