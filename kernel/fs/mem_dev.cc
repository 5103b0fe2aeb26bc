// SPDX-License-Identifier: MIT
// /dev/null, zero, full, random, urandom, kmsg. Linux: drivers/char/mem.c, random.c, kernel/printk.c. Process context.

#include "fs/internal.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/vmalloc.h"
#include "sched/sched.h"

namespace
{
result<size_t> null_read(file *, iov_iter &, u64 *)
{
    return size_t{0};
}

result<size_t> null_write(file *, iov_iter &from, u64 *)
{
    return from.count();
}

result<s64> null_llseek(file *f, s64, int)
{
    f->f_pos = 0;
    return s64{0};
}

/// Fill the iterator piece by piece, so that a huge read can be interrupted.
template <class F>
result<size_t> fill(iov_iter &to, F piece)
{
    size_t done = 0;
    while (to.count()) {
        size_t n = min(to.count(), PAGE_SIZE);
        auto r = piece(to, n);
        if (!r) {
            if (!done)
                return r.fail();
            break;
        }
        done += n;
        if (signal_pending())
            break;
        cond_resched();
    }
    return done;
}

result<size_t> zero_read(file *, iov_iter &to, u64 *)
{
    return fill(to, [](iov_iter &t, size_t n) { return t.zero(n); });
}

result<size_t> full_write(file *, iov_iter &, u64 *)
{
    return error{ENOSPC};
}

result<size_t> urandom_read(file *, iov_iter &to, u64 *)
{
    return fill(to, [](iov_iter &t, size_t n) -> result<void> {
        u8 bytes[256];
        while (n) {
            size_t part = min(n, sizeof bytes);
            get_random_bytes(bytes, part);
            TRY_VOID(t.copy_to(bytes, part));
            n -= part;
        }
        memset(bytes, 0, sizeof bytes);
        return {};
    });
}

/// A line written to /dev/kmsg goes to the kernel log, with an optional "<level>" in front.
result<size_t> kmsg_write(file *, iov_iter &from, u64 *)
{
    char line[256];
    size_t all = from.count(), n = min(all, sizeof line - 1);
    TRY_VOID(from.copy_from(line, n));
    line[n] = 0;
    const char *text = line;
    log_level level = KERN_NOTICE;
    if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
        level = static_cast<log_level>(line[1] - '0');
        text += 3;
    }
    while (n && line[n - 1] == '\n')
        line[--n] = 0;
    printk(level, "%s\n", text);
    return all;
}

/// /proc/kmsg and /dev/kmsg show the whole log that the ring has, once.
result<size_t> kmsg_read(file *, iov_iter &to, u64 *pos)
{
    constexpr size_t LOG_MAX = 1 << 20;
    auto *text = static_cast<char *>(vzalloc(LOG_MAX));
    if (!text)
        return error{ENOMEM};
    size_t n = printk_read_all(text, LOG_MAX), part = 0;
    result<void> r;
    if (*pos < n) {
        part = min(to.count(), n - *pos);
        r = to.copy_to(text + *pos, part);
        *pos += part;
    }
    vfree(text);
    if (!r)
        return r.fail();
    return part;
}

const file_operations null_fops{.read = null_read, .write = null_write, .llseek = null_llseek};
const file_operations zero_fops{.read = zero_read, .write = null_write, .llseek = null_llseek};
const file_operations full_fops{.read = zero_read, .write = full_write, .llseek = null_llseek};
const file_operations urandom_fops{
    .read = urandom_read, .write = null_write, .llseek = null_llseek};
} // namespace

const file_operations kmsg_fops{
    .read = kmsg_read, .write = kmsg_write, .llseek = generic_file_llseek};

void chrdev_init()
{
    register_chrdev(1, 3, 3, "mem", &null_fops);
    register_chrdev(1, 5, 5, "mem", &zero_fops);
    register_chrdev(1, 7, 7, "mem", &full_fops);
    register_chrdev(1, 8, 9, "mem", &urandom_fops);
    register_chrdev(1, 11, 11, "mem", &kmsg_fops);
}
