// SPDX-License-Identifier: MIT
// inotify's calls. Linux: fs/notify/inotify/inotify_user.c. Process context, no locks of its own.

#include "fs/inotify.h"
#include "fs/namei.h"
#include "syscall/file.h"

result<int> sys_inotify_init()
{
    return do_inotify_init(0);
}

result<int> sys_inotify_init1(u32 flags)
{
    return do_inotify_init(flags);
}

result<int> sys_inotify_add_watch(int fd, user_ptr<const char> uname, u32 mask)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    return do_inotify_add_watch(fd, name.c_str(), mask);
}

result<void> sys_inotify_rm_watch(int fd, s32 wd)
{
    return do_inotify_rm_watch(fd, wd);
}
