// SPDX-License-Identifier: MIT
// execve in three steps: exec.cc collects the file and the strings, binfmt_*.cc builds the new
// address space without touching the old one, and only when nothing can fail any more the task
// changes over. Linux: fs/exec.c, struct linux_binprm.
#pragma once

#include "fs/fs.h"
#include "mm/mm.h"
#include "sched/process.h"
#include "syscall/syscall.h"

/// Linux's limits: one string, a path's first bytes looked at, nesting of #! interpreters.
constexpr size_t MAX_ARG_STRLEN = 128 * 1024;
constexpr size_t BINPRM_BUF_SIZE = 128;
constexpr unsigned MAX_INTERPRETERS = 4;

/// A descriptor table of its own for the current task if it shares one. ENOMEM. [P]
result<void> unshare_files();

/// A vector of strings: of the user (address of a char *[]), or of the kernel.
struct string_vector {
    u64 user = 0;
    const char *const *kernel = nullptr;
    /// Address of string i, 0 at the end. [P]
    result<u64> at(size_t i) const;
};

/// A program being started.
struct binprm : pinned {
    const char *filename = nullptr; // as given
    char *interp = nullptr; // what is loaded: filename, or the last #! interpreter (kmalloc)
    file_ptr exe;
    file *denied = nullptr; // nobody may write it; referenced
    s32 euid = 0, egid = 0; // that the program will have
    /// Whether it gains rights (AT_SECURE).
    bool secure() const { return euid != current()->uid || egid != current()->gid; }
    /// Deny writing to `f` instead of what was denied before: ETXTBSY.
    result<void> deny_write(file *f);
    char buf[BINPRM_BUF_SIZE] = {}; // start of the file, zero filled
    size_t buf_len = 0;
    string_vector argv, envp;
    /// Kernel strings that #! puts in place of argv[0], first one first; kmalloc.
    char *prefix[2 * MAX_INTERPRETERS + 1] = {};
    unsigned nr_prefix = 0;

    mm_struct *mm = nullptr;
    u64 p = 0; // lowest used stack address
    u64 stack_top = 0;
    u64 *strings = nullptr; // addresses of argv strings, then envp strings (vzalloc)
    size_t argc = 0, envc = 0;
    u64 exec_addr = 0; // the file name's string on the stack
    // Found by the loader:
    u64 entry = 0, load_addr = 0, phdr_addr = 0, interp_base = 0, start_ip = 0;
    u16 phnum = 0;

    binprm() = default;
    ~binprm();
};

/// Open `path` for execution and read its start: ENOENT, EACCES, … [P]
result<void> open_exec(binprm &b, const char *path);
/// If b's file starts with "#!", make its interpreter the file to load. True: look again. ENOEXEC.
/// [P]
result<bool> load_script(binprm &b);
/// Map the ELF file (and its PT_INTERP) into b.mm; fills in the addresses. ENOEXEC when it is no
/// ELF file for us. [P]
result<void> load_elf(binprm &b);
/// Place strings, argc, argv, envp and the auxiliary vector; b.p becomes the initial stack pointer.
/// [P]
result<void> setup_arg_pages(binprm &b);
result<void> create_elf_tables(binprm &b);

/// Run `path` in place of the current kernel thread, which has files, fs and signal state (process
/// 1). Returns -errno; on success it does not return. [P]
int kernel_execve(const char *path, const char *const argv[], const char *const envp[]);
