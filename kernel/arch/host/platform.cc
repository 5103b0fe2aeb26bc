// SPDX-License-Identifier: MIT
// The rest of the host port: console, command line, random numbers, the end, expectations of tests.
#include "host.h"
#include "internal.h"
#include "lib/printk.h"
#include "lib/string.h"

// --- console: a ring that the test reads, and stderr -----------------------------------------------

static char console[65536];
static size_t console_used;
static bool echo;

void arch_console_write(const char *s, size_t n)
{
    if (n >= sizeof(console))
        n = sizeof(console) - 1;
    if (console_used + n >= sizeof(console)) {
        size_t keep = min(console_used, sizeof(console) / 2);
        keep = min(keep, sizeof(console) - 1 - n);
        memmove(console, console + console_used - keep, keep);
        console_used = keep;
    }
    memcpy(console + console_used, s, n);
    console_used += n;
    console[console_used] = '\0';
    if (echo)
        os_console(s, n);
}

const char *host_console()
{
    return console;
}
void host_console_echo(bool on)
{
    echo = on;
}

// --- platform -----------------------------------------------------------------------------------

const char *arch_command_line()
{
    return host.cmdline;
}
void arch_initrd(const u8 **start, size_t *size)
{
    *start = nullptr;
    *size = 0;
}

bool arch_random(u64 *v)
{
    *v = host_next_random(host.test_state);
    return true;
}

phys_addr_t arch_pci_ecam_base(u8 *, u8 *)
{
    return 0;
}
unsigned arch_backtrace(u64 *out, unsigned max, const pt_regs *)
{
    return os_backtrace(out, max);
}

const char *kallsyms_lookup(u64 addr, u64 *offset)
{
    const char *name = os_symbol(addr, offset);
    return name ? name : "?";
}

/// There is no table to list.
const char *kallsyms_entry(u32, u64 *)
{
    return nullptr;
}

// --- the end ------------------------------------------------------------------------------------

void host_expect_panic()
{
    host.expect_panic = true;
}
bool host_panicked()
{
    return host.panicked;
}
void host_exit(int status)
{
    os_exit(status);
}

/// After a panic: back to the test if it expected one.
void arch_stop_cpu()
{
    host.panicked = true;
    if (host.expect_panic && host.inside)
        for (;;)
            host_yield();
    if (!echo)
        os_console(console, console_used);
    os_abort();
}

void arch_power_off()
{
    os_exit(0);
}
void arch_restart()
{
    arch_stop_cpu();
}

// --- expectations -------------------------------------------------------------------------------

static unsigned failures;

void host_expect_failed(const char *file, int line, const char *what)
{
    failures++;
    char text[300];
    int n = snprintf(text, sizeof(text), "%s:%d: expectation failed: %s\n", file, line, what);
    os_console(text, min(static_cast<size_t>(n), sizeof(text) - 1));
}

unsigned host_failures()
{
    return failures;
}
