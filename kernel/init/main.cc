// SPDX-License-Identifier: MIT
// From the port's first C++ code to the first program. Linux: init/main.c; the order is the atlas's
// §2.
#include "arch/arch.h"
#include "fs/fs.h"
#include "init/init.h"
#include "init/version.h"
#include "lib/cmdline.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "sched/process.h"
#include "sched/sched.h"

#define DEVIATION(text) text,
const char *const known_deviations[] = {
#include "init/deviations.h"
};
#undef DEVIATION
const unsigned nr_known_deviations = sizeof(known_deviations) / sizeof(known_deviations[0]);

namespace
{
constexpr unsigned MAX_INIT_ARGS = 32; // as Linux
char init_args[2048];
const char *argv_init[MAX_INIT_ARGS + 2];
const char *envp_init[] = {"HOME=/", "TERM=linux", nullptr};

void print_banner()
{
    pr_notice("Softnet %s, reference: Linux 3.10.0\n", SOFTNET_VERSION);
    for (const char *d : known_deviations)
        pr_info("deviation: %s\n", d);
    pr_notice("Command line: %s\n", arch_command_line());
}

/// `quiet`, `debug`, `loglevel=N`.
void parse_log_level()
{
    char v[16];
    if (cmdline_has("quiet"))
        console_loglevel = 4;
    if (cmdline_has("debug"))
        console_loglevel = 10;
    if (cmdline_get("loglevel", v, sizeof(v)) && v[0])
        console_loglevel = static_cast<int>(strtoul(v, nullptr, 0));
}

/// What stands behind " -- " on the command line are init's arguments.
void parse_init_args()
{
    unsigned n = 1;
    const char *dashes = strstr(arch_command_line(), " -- ");
    strlcpy(init_args, dashes ? dashes + 4 : "", sizeof(init_args));
    for (char *p = init_args; *p && n <= MAX_INIT_ARGS;) {
        while (*p == ' ')
            *p++ = 0;
        if (*p)
            argv_init[n++] = p;
        while (*p && *p != ' ')
            p++;
    }
    argv_init[n] = nullptr;
}

int run_init_process(const char *path)
{
    argv_init[0] = path;
    return kernel_execve(path, argv_init, envp_init);
}

/// Descriptors 0, 1 and 2.
void open_console()
{
    for (int i = 0; i < 3; i++) {
        auto f = filp_open("/dev/console", O_RDWR, 0);
        auto fd = get_unused_fd_flags(0);
        if (!f || !fd) {
            pr_warn("Warning: unable to open an initial console.\n");
            return;
        }
        fd_install(*fd, f->release());
    }
}

/// Returns only if `param` is not given; panics when what it names cannot be run.
void try_requested(const char *param)
{
    static char path[256];
    if (!cmdline_get(param, path, sizeof(path)) || !path[0])
        return;
    int err = run_init_process(path);
    panic("Requested init %s failed (error %d).", path, err);
}

void run_first_program()
{
    parse_init_args();
    try_requested("rdinit");
    int err = run_init_process("/init");
    if (err != -ENOENT)
        pr_err("Failed to execute /init (error %d)\n", err);
    try_requested("init");
    for (const char *path : {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}) {
        err = run_init_process(path);
        if (err != -ENOENT)
            pr_err("Starting init: %s exists but couldn't execute it (error %d)\n", path, err);
    }
    panic("No working init found.  Try passing init= option to kernel.");
}

/// Process 1 while it is still a kernel thread.
void kernel_init(void *)
{
    do_pre_smp_initcalls();
    arch_smp_init();
    do_initcalls();
    if (int err = become_init())
        panic("cannot become process 1 (error %d)", err);
    current()->files = files_alloc();
    current()->fs = fs_struct_alloc();
    if (!current()->files || !current()->fs)
        panic("no memory for process 1");
    open_console();
    run_first_program();
}

/// The boot CPU turns into its idle task.
[[noreturn]] void rest_init()
{
    task_struct *t = kthread_create(kernel_init, nullptr, -1, "swapper/0");
    if (!t)
        panic("no memory for process 1");
    wake_up_process(t);
    arch_boot_cpu_idle();
}
} // namespace

/// For panic(): who was running.
void panic_describe_task(char *buf, size_t n)
{
    task_struct *t = current_task();
    snprintf(buf, n, "PID: %d Comm: %s", t ? t->pid : 0, t ? t->comm : "?");
}

void start_kernel()
{
    parse_log_level();
    print_banner();
    page_alloc_init();
    kmem_cache_init();
    vmalloc_init();
    arch_platform_init();
    sched_init();
    timers_init();
    local_irq_enable();
    vfs_caches_init();
    rest_init();
}

void secondary_start_kernel()
{
    local_irq_enable();
    cpu_idle_loop();
}
