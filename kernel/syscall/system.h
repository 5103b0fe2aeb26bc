// SPDX-License-Identifier: MIT
// System calls about the machine as a whole and resource limits. Effects and errors as in the Linux
// manual pages of section 2. All [P].
#pragma once

#include "syscall/syscall.h"

struct user_rlimit {
    u64 cur, max;
};
result<void> sys_uname(user_ptr<void> buf);
result<void> sys_sysinfo(user_ptr<void> buf);
result<void> sys_sethostname(user_ptr<const char> name, int len);
result<void> sys_setdomainname(user_ptr<const char> name, int len);
result<u64> sys_getrandom(user_ptr<void> buf, size_t n, u32 flags);
result<void> sys_getrlimit(u32 what, user_ptr<user_rlimit> r);
result<void> sys_setrlimit(u32 what, user_ptr<user_rlimit> r);
result<void> sys_prlimit64(s32 pid, u32 what, user_ptr<user_rlimit> next,
                           user_ptr<user_rlimit> old);
result<s64> sys_personality(u32 p);
result<void> sys_reboot(u32 magic1, u32 magic2, u32 cmd, u64 arg);
result<s64> sys_syslog(int type, user_ptr<void> buf, int len);

/// A field of utsname in the order of uname(2): 0 sysname, 1 nodename, 2 release, 3 version, 5
/// domainname.
constexpr size_t UTS_LEN = 64;
void get_uts_field(unsigned field, char out[UTS_LEN + 1]);
void set_uts_nodename(const char *name);
