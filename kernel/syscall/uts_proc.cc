// SPDX-License-Identifier: MIT
// /proc/version and the machine's names below /proc/sys/kernel. Linux: fs/proc/version.c, kernel/utsname_sysctl.c. Process context.

#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "lib/string.h"
#include "syscall/system.h"

namespace
{
/// private_data is the number of the field.
void show_uts(seq_file *m)
{
    char text[UTS_LEN + 1];
    get_uts_field(static_cast<unsigned>(reinterpret_cast<u64>(m->private_data)), text);
    seq_printf(m, "%s\n", text);
}

int store_hostname(char *text, size_t n, void *)
{
    if (n && text[n - 1] == '\n')
        text[--n] = 0;
    if (n > UTS_LEN)
        return -EINVAL;
    set_uts_nodename(text);
    return 0;
}

void show_version(seq_file *m)
{
    char sysname[UTS_LEN + 1], release[UTS_LEN + 1], version[UTS_LEN + 1];
    get_uts_field(0, sysname);
    get_uts_field(2, release);
    get_uts_field(3, version);
    seq_printf(m, "%s version %s (softnet) (%s) %s\n", sysname, release, __VERSION__, version);
}

int uts_proc_init()
{
    auto field = [](u64 n) { return reinterpret_cast<void *>(n); };
    int err = proc_create("version", show_version);
    err |= proc_create("sys/kernel/ostype", show_uts, field(0));
    err |= proc_create("sys/kernel/hostname", show_uts, field(1), store_hostname);
    err |= proc_create("sys/kernel/osrelease", show_uts, field(2));
    err |= proc_create("sys/kernel/version", show_uts, field(3));
    err |= proc_create("sys/kernel/domainname", show_uts, field(5));
    return err;
}
fs_initcall(uts_proc_init);
} // namespace
