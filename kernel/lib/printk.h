// SPDX-License-Identifier: MIT
// Kernel log and fatal errors. Any context. Lines go to a ring (dmesg) and, at or above the console level, to the console
// as "[    1.234567] text".
#pragma once

#include "lib/types.h"
#include <cstdarg>

/// Linux's levels: 0 emergency … 3 err, 4 warning, 6 info, 7 debug. Default console level 7 (`loglevel=`, `quiet` = 4).
enum log_level : int {
    KERN_EMERG = 0,
    KERN_ERR = 3,
    KERN_WARNING = 4,
    KERN_NOTICE = 5,
    KERN_INFO = 6,
    KERN_DEBUG = 7
};

/// printf to the log. Formats: vsnprintf's plus %pI4 (be32*), %pM (u8[6]), %pS (symbol of an address).
/// GCC checks the plain ones.
void printk(log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vprintk(log_level level, const char *fmt, va_list ap);
/// Set by `loglevel=`/`quiet`.
extern int console_loglevel;

#define pr_err(...) printk(KERN_ERR, __VA_ARGS__)
#define pr_warn(...) printk(KERN_WARNING, __VA_ARGS__)
#define pr_notice(...) printk(KERN_NOTICE, __VA_ARGS__)
#define pr_info(...) printk(KERN_INFO, __VA_ARGS__)
#define pr_debug(...) printk(KERN_DEBUG, __VA_ARGS__)

/// printf into a buffer of n bytes incl. NUL; returns the length it would have had.
int snprintf(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t n, const char *fmt, va_list ap);

/// Print message, symbolised backtrace and task, stop all CPUs; reboot after `panic=` seconds.
[[noreturn]] void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/// Kernel bug: condition must not hold.
#define BUG_ON(c)                                              \
    do {                                                       \
        if (c) [[unlikely]]                                    \
            panic("BUG at %s:%d: %s", __FILE__, __LINE__, #c); \
    } while (0)
/// Complain once with a backtrace and go on; value of the condition.
#define WARN_ON_ONCE(c)                        \
    ({                                         \
        static bool warned_;                   \
        bool cond_ = !!(c);                    \
        if (cond_ && !warned_) [[unlikely]] {  \
            warned_ = true;                    \
            warn_slow(__FILE__, __LINE__, #c); \
        }                                      \
        cond_;                                 \
    })
void warn_slow(const char *file, int line, const char *what);
/// True at most `burst` times per 5 s: Linux's net_ratelimit() for messages driven by the wire.
bool printk_ratelimit();
/// Write the current call chain to the log with symbols.
void dump_stack();
/// Symbol of a kernel address: name and offset; "?" if unknown. The table is linked into the image.
const char *kallsyms_lookup(u64 addr, u64 *offset);
/// Symbol number i in ascending order of address; null beyond the last (/proc/kallsyms).
const char *kallsyms_entry(u32 i, u64 *addr);
/// Copy up to n bytes of the log ring (oldest first) for syslog(2)/dmesg. Returns bytes.
size_t printk_read_all(char *buf, size_t n);
/// Write to the console without the log: terminals. The bytes come out in one piece, not mixed with log lines; keep n small,
/// for interrupts are off meanwhile. Any context.
void console_write(const char *s, size_t n);
