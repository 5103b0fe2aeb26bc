// SPDX-License-Identifier: MIT
// Names to places: the path walk and the operations that change directories. Linux: fs/namei.c. Process context.
#pragma once

#include "fs/internal.h"

constexpr int AT_FDCWD = -100;

/// How a walk ends: follow a symbolic link in the last place; the last must be a directory; "" means dfd itself; stop at the parent.
constexpr u32 LOOKUP_FOLLOW = 1, LOOKUP_DIRECTORY = 2, LOOKUP_EMPTY = 4, LOOKUP_PARENT = 8;

/// An owned path: dropped at the end of its scope.
class path_ref
{
public:
    path_ref() = default;
    /// Takes over the references.
    explicit path_ref(path p) : p_{p} {}
    path_ref(path_ref &&o) : p_{o.p_} { o.p_ = {}; }
    path_ref &operator=(path_ref &&o)
    {
        path old = p_;
        p_ = o.p_;
        o.p_ = {};
        path_put(old);
        return *this;
    }
    ~path_ref() { path_put(p_); }
    const path &get() const { return p_; }
    const path *operator->() const { return &p_; }
    inode *ino() const { return p_.dentry->d_inode; }

private:
    path p_;
};

/// One walk. Construction takes the tree lock, destruction gives it back, so that what was found can be changed at once.
class nameidata : pinned
{
public:
    nameidata() { vfs_tree_lock().lock(); }
    ~nameidata();
    /// Walk `name` from dfd (a descriptor or AT_FDCWD). Afterwards at() is the place; with LOOKUP_PARENT it is the directory and
    /// last() the final component (after following links if LOOKUP_FOLLOW), which need not exist.
    result<void> walk(int dfd, const char *name, u32 flags);
    const path &at() const { return at_; }
    inode *ino() const { return at_.dentry->d_inode; }
    /// Final component; "." or ".." or "" (the path was only slashes) cannot be created or removed.
    const char *last() const { return last_; }
    size_t last_len() const { return last_len_; }
    bool last_is_normal() const;
    bool trailing_slash() const { return trailing_; }
    /// The entry named last(), without a reference but alive while the lock is held; null: none.
    dentry *last_dentry();
    /// Hand out the place with references.
    path_ref take();

private:
    result<void> start(int dfd, const char *name, u32 flags);
    result<bool> component(const char *&rest, u32 flags);
    result<void> lookup_one(const char *name, size_t len, path *out);
    result<void> follow_link(dentry *link, const char *&rest);
    void move_to(path p); // takes over references

    path at_, root_;
    dentry *held_ = nullptr; // a demand-made last_dentry()
    char *buf_[2] = {};      // rest of the path after links; from names_cache
    unsigned cur_ = 0, links_ = 0;
    char last_[NAME_MAX + 1] = {};
    size_t last_len_ = 0;
    bool trailing_ = false;
};

/// Look a place up. [P]
result<path_ref> kern_path_at(int dfd, const char *name, u32 flags);
inline result<path_ref> kern_path(const char *name, u32 flags)
{
    return kern_path_at(AT_FDCWD, name, flags);
}

/// open(2) and friends with a kernel string; mode's umask is applied here.
result<file_ptr> do_filp_open(int dfd, const char *name, u32 flags, u32 mode);
/// The calls that change the tree, with kernel strings, as their system calls document them. The umask is applied.
result<void> do_mknodat(int dfd, const char *name, u32 mode, u32 rdev);
result<void> do_mkdirat(int dfd, const char *name, u32 mode);
result<void> do_unlinkat(int dfd, const char *name);
result<void> do_rmdirat(int dfd, const char *name);
result<void> do_symlinkat(const char *target, int dfd, const char *name);
result<void> do_linkat(int old_dfd, const char *old_name, int new_dfd, const char *new_name,
                       u32 lookup_flags);
result<void> do_renameat(int old_dfd, const char *old_name, int new_dfd, const char *new_name,
                         bool no_replace);
/// Add a child of `mode` to the directory at nd (which was walked with LOOKUP_PARENT); returns it with a reference.
result<dentry *> vfs_create_at(nameidata &nd, u32 mode, u32 rdev, const char *target);

/// A kernel buffer of PATH_MAX bytes from names_cache for a path given by user space; empty paths are allowed here.
class user_path : pinned
{
public:
    user_path() = default;
    ~user_path();
    /// Copy the string in: EFAULT, ENAMETOOLONG, ENOMEM. [P]
    result<void> get(u64 user_addr);
    const char *c_str() const { return s_; }

private:
    char *s_ = nullptr;
};
char *getname_buffer();
void putname_buffer(char *s);
void namei_init();
