// SPDX-License-Identifier: MIT
// System calls on files, descriptors and paths. Errors and effects are those of the Linux manual pages of the same names; what differs
// is said where each is defined. All [P].
#pragma once

#include "fs/eventpoll.h"
#include "fs/select.h"
#include "syscall/syscall.h"

struct timespec64_abi {
    s64 sec, nsec;
};
struct timeval_abi {
    s64 sec, usec;
};

// file_io.cc
result<size_t> sys_read(int fd, user_ptr<void> buf, size_t n);
result<size_t> sys_write(int fd, user_ptr<void> buf, size_t n);
result<size_t> sys_pread64(int fd, user_ptr<void> buf, size_t n, s64 pos);
result<size_t> sys_pwrite64(int fd, user_ptr<void> buf, size_t n, s64 pos);
result<size_t> sys_readv(int fd, user_ptr<const void> vec, u64 n);
result<size_t> sys_writev(int fd, user_ptr<const void> vec, u64 n);
result<size_t> sys_preadv(int fd, user_ptr<const void> vec, u64 n, s64 pos);
result<size_t> sys_pwritev(int fd, user_ptr<const void> vec, u64 n, s64 pos);
result<s64> sys_lseek(int fd, s64 off, int whence);
result<size_t> sys_sendfile(int out_fd, int in_fd, user_ptr<s64> offset, size_t n);
result<void> sys_fsync(int fd);
result<void> sys_fdatasync(int fd);
result<void> sys_sync();
result<void> sys_syncfs(int fd);
result<void> sys_sync_file_range(int fd, s64 off, s64 n, u32 flags);
/// Extend a file, or (FALLOC_FL_PUNCH_HOLE) give pages back. file_attr.cc
result<void> sys_fallocate(int fd, u32 mode, s64 offset, s64 len);
result<void> sys_fadvise64(int fd, s64 off, s64 len, int advice);

// file_splice.cc
result<size_t> sys_splice(int in_fd, user_ptr<s64> in_off, int out_fd, user_ptr<s64> out_off,
                          size_t len, u32 flags);
result<size_t> sys_tee(int in_fd, int out_fd, size_t len, u32 flags);
result<size_t> sys_vmsplice(int fd, user_ptr<const void> vec, u64 n, u32 flags);

// file_notify.cc
result<int> sys_inotify_init();
result<int> sys_inotify_init1(u32 flags);
result<int> sys_inotify_add_watch(int fd, user_ptr<const char> name, u32 mask);
result<void> sys_inotify_rm_watch(int fd, s32 wd);

// file_open.cc
result<int> sys_open(user_ptr<const char> name, u32 flags, u32 mode);
result<int> sys_openat(int dfd, user_ptr<const char> name, u32 flags, u32 mode);
result<int> sys_creat(user_ptr<const char> name, u32 mode);
result<void> sys_close(u32 fd);
result<void> sys_close_range(u32 first, u32 last, u32 flags);
result<int> sys_dup(u32 fd);
result<int> sys_dup2(u32 old_fd, u32 new_fd);
result<int> sys_dup3(u32 old_fd, u32 new_fd, u32 flags);
result<s64> sys_fcntl(u32 fd, u32 cmd, u64 arg); // file_fcntl.cc
result<void> sys_flock(int fd, u32 op);
result<s64> sys_ioctl(u32 fd, u32 cmd, u64 arg);
result<void> sys_pipe(user_ptr<void> fds);
result<void> sys_pipe2(user_ptr<void> fds, u32 flags);
result<int> sys_eventfd(u32 count);
result<int> sys_eventfd2(u32 count, u32 flags);
result<u32> sys_umask(u32 mask);

// file_stat.cc
result<void> sys_stat(user_ptr<const char> name, user_ptr<void> buf);
result<void> sys_lstat(user_ptr<const char> name, user_ptr<void> buf);
result<void> sys_fstat(int fd, user_ptr<void> buf);
result<void> sys_newfstatat(int dfd, user_ptr<const char> name, user_ptr<void> buf, u32 flags);
result<void> sys_statx(int dfd, user_ptr<const char> name, u32 flags, u32 mask, user_ptr<void> buf);
result<void> sys_statfs(user_ptr<const char> name, user_ptr<void> buf);
result<void> sys_fstatfs(int fd, user_ptr<void> buf);
result<void> sys_access(user_ptr<const char> name, u32 mode);
result<void> sys_faccessat(int dfd, user_ptr<const char> name, u32 mode);
result<void> sys_faccessat2(int dfd, user_ptr<const char> name, u32 mode, u32 flags);
result<size_t> sys_readlink(user_ptr<const char> name, user_ptr<void> buf, int n);
result<size_t> sys_readlinkat(int dfd, user_ptr<const char> name, user_ptr<void> buf, int n);

// file_dir.cc
result<size_t> sys_getdents(int fd, user_ptr<void> buf, u32 n);
result<size_t> sys_getdents64(int fd, user_ptr<void> buf, u32 n);
result<size_t> sys_getcwd(user_ptr<void> buf, size_t n);
result<void> sys_chdir(user_ptr<const char> name);
result<void> sys_fchdir(int fd);
result<void> sys_chroot(user_ptr<const char> name);
result<void> sys_mkdir(user_ptr<const char> name, u32 mode);
result<void> sys_mkdirat(int dfd, user_ptr<const char> name, u32 mode);
result<void> sys_rmdir(user_ptr<const char> name);
result<void> sys_unlink(user_ptr<const char> name);
result<void> sys_unlinkat(int dfd, user_ptr<const char> name, u32 flags);
result<void> sys_rename(user_ptr<const char> from, user_ptr<const char> to);
result<void> sys_renameat(int from_dfd, user_ptr<const char> from, int to_dfd,
                          user_ptr<const char> to);
result<void> sys_renameat2(int from_dfd, user_ptr<const char> from, int to_dfd,
                           user_ptr<const char> to, u32 flags);
result<void> sys_link(user_ptr<const char> from, user_ptr<const char> to);
result<void> sys_linkat(int from_dfd, user_ptr<const char> from, int to_dfd,
                        user_ptr<const char> to, u32 flags);
result<void> sys_symlink(user_ptr<const char> target, user_ptr<const char> name);
result<void> sys_symlinkat(user_ptr<const char> target, int dfd, user_ptr<const char> name);
result<void> sys_mknod(user_ptr<const char> name, u32 mode, u32 dev);
result<void> sys_mknodat(int dfd, user_ptr<const char> name, u32 mode, u32 dev);
result<void> sys_mount(user_ptr<const char> dev, user_ptr<const char> dir,
                       user_ptr<const char> type, u64 flags, user_ptr<const char> data);
result<void> sys_umount2(user_ptr<const char> dir, u32 flags);

// file_attr.cc
result<void> sys_truncate(user_ptr<const char> name, s64 size);
result<void> sys_ftruncate(int fd, s64 size);
result<void> sys_chmod(user_ptr<const char> name, u32 mode);
result<void> sys_fchmod(int fd, u32 mode);
result<void> sys_fchmodat(int dfd, user_ptr<const char> name, u32 mode);
result<void> sys_chown(user_ptr<const char> name, u32 uid, u32 gid);
result<void> sys_lchown(user_ptr<const char> name, u32 uid, u32 gid);
result<void> sys_fchown(int fd, u32 uid, u32 gid);
result<void> sys_fchownat(int dfd, user_ptr<const char> name, u32 uid, u32 gid, u32 flags);
result<void> sys_utimensat(int dfd, user_ptr<const char> name, user_ptr<timespec64_abi> times,
                           u32 flags);
result<void> sys_utimes(user_ptr<const char> name, user_ptr<timeval_abi> times);
result<void> sys_utime(user_ptr<const char> name, user_ptr<s64> times);
result<void> sys_futimesat(int dfd, user_ptr<const char> name, user_ptr<timeval_abi> times);

// file_xattr.cc
result<void> sys_setxattr(user_ptr<const char> path, user_ptr<const char> name,
                          user_ptr<void> value, u64 size, u32 flags);
result<void> sys_lsetxattr(user_ptr<const char> path, user_ptr<const char> name,
                           user_ptr<void> value, u64 size, u32 flags);
result<void> sys_fsetxattr(int fd, user_ptr<const char> name, user_ptr<void> value, u64 size,
                           u32 flags);
result<void> sys_getxattr(user_ptr<const char> path, user_ptr<const char> name,
                          user_ptr<void> value, u64 size);
result<void> sys_lgetxattr(user_ptr<const char> path, user_ptr<const char> name,
                           user_ptr<void> value, u64 size);
result<void> sys_fgetxattr(int fd, user_ptr<const char> name, user_ptr<void> value, u64 size);
result<void> sys_listxattr(user_ptr<const char> path, user_ptr<void> list, u64 size);
result<void> sys_llistxattr(user_ptr<const char> path, user_ptr<void> list, u64 size);
result<void> sys_flistxattr(int fd, user_ptr<void> list, u64 size);
result<void> sys_removexattr(user_ptr<const char> path, user_ptr<const char> name);
result<void> sys_lremovexattr(user_ptr<const char> path, user_ptr<const char> name);
result<void> sys_fremovexattr(int fd, user_ptr<const char> name);

// epoll.cc
result<int> sys_epoll_create(int size);
result<int> sys_epoll_create1(u32 flags);
result<void> sys_epoll_ctl(int epfd, int op, int fd, user_ptr<epoll_event> event);
result<int> sys_epoll_wait(int epfd, user_ptr<epoll_event> events, int max, int timeout_ms);
result<int> sys_epoll_pwait(int epfd, user_ptr<epoll_event> events, int max, int timeout_ms,
                            u64 sigmask, u64 sigsetsize);
result<int> sys_epoll_pwait2(int epfd, user_ptr<epoll_event> events, int max,
                             user_ptr<timespec64_abi> timeout, u64 sigmask, u64 sigsetsize);
// poll.cc
result<int> sys_poll(user_ptr<pollfd> fds, u32 n, int timeout_ms);
result<int> sys_ppoll(user_ptr<pollfd> fds, u32 n, user_ptr<timespec64_abi> timeout, u64 sigmask,
                      u64 sigsetsize);
result<int> sys_select(int n, user_ptr<u64> in, user_ptr<u64> out, user_ptr<u64> ex,
                       user_ptr<timeval_abi> timeout);
result<int> sys_pselect6(int n, user_ptr<u64> in, user_ptr<u64> out, user_ptr<u64> ex,
                         user_ptr<timespec64_abi> timeout, user_ptr<u64> sig);
