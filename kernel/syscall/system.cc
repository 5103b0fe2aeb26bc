// SPDX-License-Identifier: MIT
// The machine's name, memory, limits, log and end. Linux: kernel/sys.c, kernel/reboot.c,
// kernel/printk.c. Context: process. Locks: uts_lock for the host name.

#include "syscall/system.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "sched/process.h"

namespace
{
/// struct new_utsname.
struct utsname {
    char sysname[UTS_LEN + 1], nodename[UTS_LEN + 1], release[UTS_LEN + 1], version[UTS_LEN + 1],
        machine[UTS_LEN + 1], domainname[UTS_LEN + 1];
};
spinlock uts_lock{"uts.lock"};
utsname uts{"Linux", "softnet", "3.10.0-softnet", "#1 SMP", "", "(none)"};

result<void> set_name(char *field, user_ptr<const char> name, int len)
{
    if (!capable(CAP_SYS_ADMIN))
        return error{EPERM};
    if (len < 0 || len > static_cast<int>(UTS_LEN))
        return error{EINVAL};
    char buf[UTS_LEN + 1] = {};
    TRY_VOID(copy_from_user(buf, name.cast<const void>(), static_cast<size_t>(len)));
    spin_guard<irqsave> g{uts_lock};
    memcpy(field, buf, sizeof(buf));
    return {};
}
} // namespace

void get_uts_field(unsigned field, char out[UTS_LEN + 1])
{
    char *const fields[] = {uts.sysname, uts.nodename, uts.release,
                            uts.version, uts.machine,  uts.domainname};
    spin_guard<irqsave> g{uts_lock};
    strlcpy(out, fields[field], UTS_LEN + 1);
}

void set_uts_nodename(const char *name)
{
    spin_guard<irqsave> g{uts_lock};
    strlcpy(uts.nodename, name, sizeof(uts.nodename));
}

result<void> sys_uname(user_ptr<void> buf)
{
    utsname u;
    {
        spin_guard<irqsave> g{uts_lock};
        u = uts;
    }
    strlcpy(u.machine, arch_platform(), sizeof(u.machine));
    return copy_to_user(buf, &u, sizeof(u));
}
result<void> sys_sethostname(user_ptr<const char> name, int len)
{
    return set_name(uts.nodename, name, len);
}
result<void> sys_setdomainname(user_ptr<const char> name, int len)
{
    return set_name(uts.domainname, name, len);
}

namespace
{
void count_process(task_struct *, void *n)
{
    ++*static_cast<u16 *>(n);
}
} // namespace

result<void> sys_sysinfo(user_ptr<void> buf)
{
    struct {
        s64 uptime;
        u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
        u16 procs, pad;
        u64 totalhigh, freehigh;
        u32 mem_unit, pad2;
    } s{};
    page_stats m = page_alloc_stats();
    s.uptime = static_cast<s64>(ktime_get() / NSEC_PER_SEC);
    s.totalram = m.total * PAGE_SIZE;
    s.freeram = m.free * PAGE_SIZE;
    s.mem_unit = 1;
    for_each_task(count_process, &s.procs);
    return copy_to_user(buf, &s, sizeof(s));
}

result<u64> sys_getrandom(user_ptr<void> buf, size_t n, u32 flags)
{
    constexpr u32 GRND_NONBLOCK = 1, GRND_RANDOM = 2;
    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM))
        return error{EINVAL};
    n = min(n, size_t{INT32_MAX});
    u8 chunk[256];
    u64 done = 0;
    while (done < n) {
        size_t k = min(n - done, sizeof(chunk));
        get_random_bytes(chunk, k);
        if (!copy_to_user(buf + done, chunk, k))
            return done ? result<u64>{done} : result<u64>{error{EFAULT}};
        done += k;
        if (signal_pending() && done >= sizeof(chunk))
            break;
        cond_resched();
    }
    return done;
}

namespace
{
/// Read and, if `next`, change a limit of process `t`; tasklist_lock held.
errno_t change_limit(task_struct *t, u32 what, const rlimit64 *next, rlimit64 *old)
{
    signal_state *s = t->signal;
    if (!s)
        return ESRCH;
    spin_guard<plain> g{s->lock};
    *old = s->rlim[what];
    if (!next)
        return errno_t{};
    if (next->cur > next->max)
        return EINVAL;
    if (next->max > old->max && !capable(CAP_SYS_RESOURCE))
        return EPERM;
    if (what == RLIMIT_NOFILE && next->max > 1024 * 1024)
        return EPERM;
    s->rlim[what] = *next;
    if (what == RLIMIT_CPU)
        cpu_limit_changed(s);
    return errno_t{};
}

result<rlimit64> limit(s32 pid, u32 what, const rlimit64 *next)
{
    if (what >= RLIM_NLIMITS)
        return error{EINVAL};
    task_struct *t = pid ? find_get_task(pid) : current();
    if (!t)
        return error{ESRCH};
    rlimit64 old{};
    errno_t err{};
    {
        spin_guard<irqsave> g{tasklist_lock};
        bool other = t->tgid != current()->tgid;
        const task_struct *me = current();
        bool same = me->uid == t->uid && me->uid == t->euid && me->uid == t->suid &&
                    me->gid == t->gid && me->gid == t->egid && me->gid == t->sgid;
        err = other && !same && !capable(CAP_SYS_RESOURCE) ? EPERM
                                                           : change_limit(t, what, next, &old);
    }
    if (pid)
        put_task(t);
    if (err)
        return error{err};
    return old;
}
} // namespace

result<void> sys_getrlimit(u32 what, user_ptr<user_rlimit> r)
{
    rlimit64 l = TRY(limit(0, what, nullptr));
    return put_user(r, user_rlimit{l.cur, l.max});
}

result<void> sys_setrlimit(u32 what, user_ptr<user_rlimit> r)
{
    return sys_prlimit64(0, what, r, user_ptr<user_rlimit>{});
}

result<void> sys_prlimit64(s32 pid, u32 what, user_ptr<user_rlimit> next, user_ptr<user_rlimit> old)
{
    user_rlimit n{};
    if (next)
        TRY_VOID(get_user(n, next));
    rlimit64 to{n.cur, n.max};
    rlimit64 before = TRY(limit(pid, what, next ? &to : nullptr));
    if (old)
        return put_user(old, user_rlimit{before.cur, before.max});
    return {};
}

result<s64> sys_personality(u32 p)
{
    if (p != 0 && p != 0xffffffff)
        return error{EINVAL}; // only PER_LINUX
    return 0;
}

result<void> sys_reboot(u32 magic1, u32 magic2, u32 cmd, u64)
{
    constexpr u32 MAGIC1 = 0xfee1dead;
    constexpr u32 MAGIC2[] = {672274793, 85072278, 369367448, 537993216};
    constexpr u32 CAD_ON = 0x89abcdef, CAD_OFF = 0, HALT = 0xcdef0123, POWER_OFF = 0x4321fedc,
                  RESTART = 0x01234567, RESTART2 = 0xa1b2c3d4;
    if (!capable(CAP_SYS_BOOT))
        return error{EPERM};
    bool known = false;
    for (u32 m : MAGIC2)
        known |= magic2 == m;
    if (magic1 != MAGIC1 || !known)
        return error{EINVAL};
    switch (cmd) {
    case CAD_ON:
    case CAD_OFF:
        return {};
    case RESTART:
    case RESTART2:
        pr_notice("Restarting system.");
        arch_restart();
    case POWER_OFF:
        pr_notice("Power down.");
        arch_power_off();
    case HALT:
        pr_notice("System halted.");
        arch_power_off();
    default:
        return error{EINVAL};
    }
}

result<s64> sys_syslog(int type, user_ptr<void> buf, int len)
{
    constexpr int CLOSE = 0, OPEN = 1, READ_ALL = 3, CONSOLE_OFF = 6, CONSOLE_ON = 7,
                  CONSOLE_LEVEL = 8, SIZE_BUFFER = 10;
    constexpr size_t LOG_SIZE = 128 * 1024;
    switch (type) {
    case CLOSE:
    case OPEN:
        return 0;
    case READ_ALL: {
        if (!buf || len < 0)
            return error{EINVAL};
        size_t n = min(static_cast<size_t>(len), LOG_SIZE);
        if (!n)
            return 0;
        auto *text = static_cast<char *>(kmalloc(n, GFP_KERNEL));
        if (!text)
            return error{ENOMEM};
        n = printk_read_all(text, n);
        auto r = copy_to_user(buf, text, n);
        kfree(text);
        return r ? result<s64>{static_cast<s64>(n)} : result<s64>{error{EFAULT}};
    }
    case CONSOLE_OFF:
        console_loglevel = 1;
        return 0;
    case CONSOLE_ON:
        console_loglevel = 7;
        return 0;
    case CONSOLE_LEVEL:
        if (len < 1 || len > 8)
            return error{EINVAL};
        console_loglevel = len;
        return 0;
    case SIZE_BUFFER:
        return static_cast<s64>(LOG_SIZE);
    default:
        return error{EINVAL};
    }
}
