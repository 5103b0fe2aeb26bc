// SPDX-License-Identifier: MIT
// Extended attributes: no file system here has any, which is what programs learn (a Linux 3.10 without TMPFS_XATTR answers
// the same). Arguments are judged as where there are some. Linux: fs/xattr.c. Process context.

#include "fs/namei.h"
#include "syscall/file.h"

namespace
{
constexpr size_t XATTR_NAME_MAX = 255, XATTR_SIZE_MAX = 65536;
constexpr u32 XATTR_CREATE = 1, XATTR_REPLACE = 2;

/// Whether a path given by a program leads somewhere.
result<void> check_path(user_ptr<const char> uname, u32 lookup)
{
    user_path name;
    TRY_VOID(name.get(uname.addr()));
    TRY(kern_path_at(AT_FDCWD, name.c_str(), lookup));
    return {};
}

/// Copy a name in: EFAULT; ERANGE when it is empty or too long.
result<void> check_name(user_ptr<const char> name)
{
    char copy[XATTR_NAME_MAX + 1];
    ssize_t n =
        arch_strncpy_from_user(copy, reinterpret_cast<const char *>(name.addr()), sizeof copy);
    if (n < 0)
        return error{EFAULT};
    if (n <= 1 || copy[n - 1])
        return error{ERANGE};
    return {};
}

result<void> get_or_remove(user_ptr<const char> name)
{
    TRY_VOID(check_name(name));
    return error{EOPNOTSUPP};
}

result<void> set(user_ptr<const char> name, u64 size, u32 flags)
{
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return error{EINVAL};
    TRY_VOID(check_name(name));
    if (size > XATTR_SIZE_MAX)
        return error{E2BIG};
    return error{EOPNOTSUPP};
}
} // namespace

result<void> sys_setxattr(user_ptr<const char> path, user_ptr<const char> name, user_ptr<void>,
                          u64 size, u32 flags)
{
    TRY_VOID(check_path(path, LOOKUP_FOLLOW));
    return set(name, size, flags);
}

result<void> sys_lsetxattr(user_ptr<const char> path, user_ptr<const char> name, user_ptr<void>,
                           u64 size, u32 flags)
{
    TRY_VOID(check_path(path, 0));
    return set(name, size, flags);
}

result<void> sys_fsetxattr(int fd, user_ptr<const char> name, user_ptr<void>, u64 size, u32 flags)
{
    TRY(fget(fd));
    return set(name, size, flags);
}

result<void> sys_getxattr(user_ptr<const char> path, user_ptr<const char> name, user_ptr<void>, u64)
{
    TRY_VOID(check_path(path, LOOKUP_FOLLOW));
    return get_or_remove(name);
}

result<void> sys_lgetxattr(user_ptr<const char> path, user_ptr<const char> name, user_ptr<void>,
                           u64)
{
    TRY_VOID(check_path(path, 0));
    return get_or_remove(name);
}

result<void> sys_fgetxattr(int fd, user_ptr<const char> name, user_ptr<void>, u64)
{
    TRY(fget(fd));
    return get_or_remove(name);
}

/// The list is empty: 0 bytes.
result<void> sys_listxattr(user_ptr<const char> path, user_ptr<void>, u64)
{
    TRY_VOID(check_path(path, LOOKUP_FOLLOW));
    return {};
}

result<void> sys_llistxattr(user_ptr<const char> path, user_ptr<void>, u64)
{
    TRY_VOID(check_path(path, 0));
    return {};
}

result<void> sys_flistxattr(int fd, user_ptr<void>, u64)
{
    TRY(fget(fd));
    return {};
}

result<void> sys_removexattr(user_ptr<const char> path, user_ptr<const char> name)
{
    TRY_VOID(check_path(path, LOOKUP_FOLLOW));
    return get_or_remove(name);
}

result<void> sys_lremovexattr(user_ptr<const char> path, user_ptr<const char> name)
{
    TRY_VOID(check_path(path, 0));
    return get_or_remove(name);
}

result<void> sys_fremovexattr(int fd, user_ptr<const char> name)
{
    TRY(fget(fd));
    return get_or_remove(name);
}
