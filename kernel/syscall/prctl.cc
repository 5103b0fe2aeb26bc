// SPDX-License-Identifier: MIT
// prctl. Linux: kernel/sys.c, security/commoncap.c. Context: process. Locks: none, the fields are the
// caller's own or single words of its process.

#include "lib/string.h"
#include "mm/mm.h"
#include "sched/process.h"
#include "syscall/process.h"

namespace
{
enum prctl_option : int {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG = 2,
    PR_GET_DUMPABLE = 3,
    PR_SET_DUMPABLE = 4,
    PR_GET_KEEPCAPS = 7,
    PR_SET_KEEPCAPS = 8,
    PR_GET_TIMING = 13,
    PR_SET_TIMING = 14,
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_CAPBSET_DROP = 24,
    PR_GET_SECUREBITS = 27,
    PR_SET_SECUREBITS = 28,
    PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK = 30,
    PR_SET_CHILD_SUBREAPER = 36,
    PR_GET_CHILD_SUBREAPER = 37,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS = 39,
    PR_GET_TID_ADDRESS = 40,
};
constexpr s64 DEFAULT_SLACK_NS = 50'000;

result<s64> set_name(u64 addr)
{
    task_struct *t = current();
    char name[sizeof(t->comm)] = {};
    if (arch_strncpy_from_user(name, reinterpret_cast<const char *>(addr), sizeof(name) - 1) < 0)
        return error{EFAULT};
    strlcpy(t->comm, name, sizeof(t->comm));
    return s64{0};
}

result<s64> drop_from_bset(u64 cap)
{
    if (!capable(CAP_SETPCAP))
        return error{EPERM};
    if (cap > CAP_LAST_CAP)
        return error{EINVAL};
    current()->cred.cap_bset &= ~(u64{1} << cap);
    return s64{0};
}

result<s64> put_int(u64 addr, int v)
{
    TRY_VOID(put_user(user_ptr<int>{addr}, v));
    return s64{0};
}

struct mark_walk {
    task_struct *reaper;
};
/// Descendants of a subreaper remember that there is one above them.
void mark_descendant(task_struct *t, void *arg)
{
    auto *w = static_cast<mark_walk *>(arg);
    if (t->group_leader != t || !t->signal)
        return;
    for (task_struct *p = t->parent; p; p = p->parent)
        if (p == w->reaper) {
            t->signal->has_child_subreaper = true;
            return;
        }
}

result<s64> set_subreaper(bool on)
{
    task_struct *me = current()->group_leader;
    me->signal->child_subreaper = on;
    if (on) {
        mark_walk w{me};
        for_each_task(mark_descendant, &w);
    }
    return s64{0};
}

/// What concerns rights.
result<s64> prctl_security(int option, u64 a2, u64 a3, u64 a4, u64 a5)
{
    task_struct *t = current();
    bool more = a3 || a4 || a5;
    switch (option) {
    case PR_GET_KEEPCAPS:
        return s64{t->cred.keep_caps};
    case PR_SET_KEEPCAPS:
        if (a2 > 1)
            return error{EINVAL};
        t->cred.keep_caps = a2;
        return s64{0};
    case PR_CAPBSET_READ:
        return a2 > CAP_LAST_CAP ? result<s64>{error{EINVAL}}
                                 : result<s64>{static_cast<s64>(t->cred.cap_bset >> a2 & 1)};
    case PR_CAPBSET_DROP:
        return drop_from_bset(a2);
    case PR_GET_SECUREBITS:
        return s64{0};
    case PR_SET_SECUREBITS: // the defaults are what there is
        return capable(CAP_SETPCAP) && !a2 ? result<s64>{0} : result<s64>{error{EPERM}};
    case PR_SET_NO_NEW_PRIVS:
        if (a2 != 1 || more)
            return error{EINVAL};
        t->cred.no_new_privs = true;
        return s64{0};
    case PR_GET_NO_NEW_PRIVS:
        return a2 || more ? result<s64>{error{EINVAL}} : result<s64>{s64{t->cred.no_new_privs}};
    case PR_GET_SECCOMP:
        return s64{0};
    default:
        return error{EINVAL};
    }
}
} // namespace

result<s64> sys_prctl(int option, u64 a2, u64 a3, u64 a4, u64 a5)
{
    task_struct *t = current();
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (a2 > NSIG)
            return error{EINVAL};
        t->group_leader->pdeath_signal = static_cast<u32>(a2);
        return s64{0};
    case PR_GET_PDEATHSIG:
        return put_int(a2, static_cast<int>(t->group_leader->pdeath_signal));
    case PR_SET_NAME:
        return set_name(a2);
    case PR_GET_NAME:
        TRY_VOID(copy_to_user(user_ptr<void>{a2}, t->comm, sizeof(t->comm)));
        return s64{0};
    case PR_GET_DUMPABLE:
        return s64{t->signal->dumpable};
    case PR_SET_DUMPABLE:
        if (a2 > 1)
            return error{EINVAL};
        t->signal->dumpable = static_cast<u8>(a2);
        return s64{0};
    case PR_GET_TIMING:
        return s64{0};
    case PR_SET_TIMING:
        return a2 ? result<s64>{error{EINVAL}} : result<s64>{0};
    case PR_SET_CHILD_SUBREAPER:
        return set_subreaper(a2);
    case PR_GET_CHILD_SUBREAPER:
        return put_int(a2, t->signal->child_subreaper);
    case PR_SET_TIMERSLACK: // sleeps end at their time: there is nothing to widen
        return s64{0};
    case PR_GET_TIMERSLACK:
        return DEFAULT_SLACK_NS;
    case PR_GET_TID_ADDRESS:
        TRY_VOID(put_user(user_ptr<u64>{a2}, t->clear_child_tid));
        return s64{0};
    default:
        return prctl_security(option, a2, a3, a4, a5);
    }
}
