// SPDX-License-Identifier: MIT
// execve: the steps, and the point of no return. Linux: fs/exec.c do_execve_common, flush_old_exec.
// Context: process. Locks: none held across; those of mm, files and signals inside.

#include "syscall/exec.h"
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

/// Private descriptors for the new program, without the close-on-exec ones.
result<void> unshare_files()
{
    task_struct *t = current();
    files_struct *mine = files_dup(t->files);
    if (!mine)
        return error{ENOMEM};
    files_struct *old = t->files;
    t->files = mine;
    files_put(old);
    return {};
}

/// From here on the old program is gone.
void become(binprm &b)
{
    task_struct *t = current();
    const char *slash = strrchr(b.filename, '/');
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
    b.mm = mm_alloc();
    if (!b.mm)
        return error{ENOMEM};
    TRY_VOID(setup_arg_pages(b));
    TRY_VOID(load_elf(b));
    TRY_VOID(create_elf_tables(b));
    b.mm->exe_file = b.exe.get();
    get_file(b.mm->exe_file);
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

binprm::~binprm()
{
    if (mm)
        mm_put(mm);
    kfree(interp);
    for (unsigned i = 0; i < nr_prefix; i++)
        kfree(prefix[i]);
    vfree(strings);
}

result<void> open_exec(binprm &b, const char *path)
{
    file_ptr f = TRY(filp_open(path, O_RDONLY, 0));
    if (!s_isreg(f->f_inode->mode) || !(f->f_inode->mode & 0111))
        return error{EACCES};
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
