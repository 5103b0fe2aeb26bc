// SPDX-License-Identifier: MIT
// The system-call table, built at compile time from table.h; argument counts and conversions come
// from the functions' types. Linux: arch/x86/syscalls/syscall_64.tbl.

#include "syscall/file.h"
#include "syscall/ipc.h"
#include "syscall/mm.h"
#include "syscall/net.h"
#include "syscall/process.h"
#include "syscall/signal.h"
#include "syscall/syscall.h"
#include "syscall/system.h"
#include "syscall/time.h"

namespace
{
constexpr syscall_entries make_table()
{
    syscall_entries t;
#define SYSCALL(nr, name)                                         \
    t.entry[nr] = {syscall_detail::glue<sys_##name>::call, #name, \
                   syscall_detail::glue<sys_##name>::nargs};
#include "syscall/table.h"
#undef SYSCALL
    return t;
}
} // namespace

constexpr syscall_entries syscall_table = make_table();
