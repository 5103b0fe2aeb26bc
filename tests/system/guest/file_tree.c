// SPDX-License-Identifier: MIT
// The file tree: names, links, directories, attributes, mounts, and the errors that go with them. argv[1]: a directory of its own.
#include "guest_test.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

static void make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    check("create", fd >= 0, name);
    check_value("write", write(fd, text, strlen(text)), (long)strlen(text));
    close(fd);
}

static int holds(const char *name, const char *text)
{
    char data[256] = {0};
    int fd = open(name, O_RDONLY);
    long n = fd < 0 ? -1 : read(fd, data, sizeof data - 1);
    close(fd);
    return n == (long)strlen(text) && !strcmp(data, text);
}

static void check_open(void)
{
    struct stat st;
    make("a", "hello");
    check_errno("O_EXCL", open("a", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    check_errno("directory for writing", open(".", O_RDWR), EISDIR);
    check_errno("O_DIRECTORY on a file", open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    check_errno("trailing slash", open("a/", O_RDONLY), ENOTDIR);
    check_errno("create with trailing slash", open("new/", O_CREAT | O_RDWR, 0600), EISDIR);
    check_errno("empty name", open("", O_RDONLY), ENOENT);
    check_errno("missing directory", open("none/x", O_CREAT | O_RDWR, 0600), ENOENT);
    static char longname[5000];
    memset(longname, 'n', 256);
    check_errno("name of 256", open(longname, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
    memset(longname, 'n', 4999);
    check_errno("path of 4999", open(longname, O_RDONLY), ENAMETOOLONG);
    longname[255] = 0;
    int fd = open(longname, O_CREAT | O_RDWR, 0600);
    check("name of 255", fd >= 0, NULL);
    close(fd);
    check_value("unlink it", unlink(longname), 0);
    check_errno("bad pointer", open((const char *)8, O_RDONLY), EFAULT);
    umask(027);
    fd = open("masked", O_CREAT | O_RDWR, 0777);
    fstat(fd, &st);
    check_value("umask", st.st_mode & 0777, 0750);
    close(fd);
    umask(022);
    fd = open("a", O_WRONLY);
    char c;
    check_errno("read of O_WRONLY", read(fd, &c, 1), EBADF);
    close(fd);
    fd = open("a", O_RDWR | O_APPEND);
    lseek(fd, 0, SEEK_SET);
    write(fd, "++", 2);
    close(fd);
    check("O_APPEND", holds("a", "hello++"), "differs");
    fd = open("a", O_RDWR | O_TRUNC);
    fstat(fd, &st);
    check_value("O_TRUNC", st.st_size, 0);
    close(fd);
}

static void check_links(void)
{
    struct stat st, other;
    char buf[64];
    make("f", "text");
    check_value("link", link("f", "g"), 0);
    stat("f", &st);
    stat("g", &other);
    check("same inode", st.st_ino == other.st_ino && st.st_nlink == 2, "no");
    check_errno("link over a name", link("f", "g"), EEXIST);
    check_errno("link to a directory", link(".", "dirlink"), EPERM);
    check_value("symlink", symlink("f", "s"), 0);
    memset(buf, 0, sizeof buf);
    check_value("readlink", readlink("s", buf, sizeof buf), 1);
    check("its target", !strcmp(buf, "f"), buf);
    check_value("readlink cuts", readlink("s", buf, 1), 1);
    check_errno("readlink of a file", readlink("f", buf, 8), EINVAL);
    lstat("s", &st);
    check("lstat", S_ISLNK(st.st_mode) && st.st_size == 1, "no link");
    check("through it", holds("s", "text"), "differs");
    check_errno("O_NOFOLLOW", open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    check_errno("loop", open("loop1", O_RDONLY), ELOOP);
    symlink("nowhere", "dangling");
    check_errno("dangling", open("dangling", O_RDONLY), ENOENT);
    check_errno("dangling, O_EXCL", open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    int fd = open("dangling", O_CREAT | O_RDWR, 0600);
    check("create through a link", fd >= 0 && stat("nowhere", &st) == 0, NULL);
    close(fd);
    check_value("unlink one name", unlink("f"), 0);
    check("the other stays", holds("g", "text"), "differs");
    fd = open("g", O_RDONLY);
    unlink("g");
    check_value("open and deleted", read(fd, buf, 8), 4);
    fstat(fd, &st);
    check_value("no names", (long)st.st_nlink, 0);
    close(fd);
}

static void check_directories(void)
{
    struct stat st;
    check_value("mkdir", mkdir("d", 0755), 0);
    check_errno("mkdir again", mkdir("d", 0755), EEXIST);
    check_errno("mkdir .", mkdir(".", 0755), EEXIST);
    check_errno("mkdir /", mkdir("/", 0755), EEXIST);
    check_value("mkdir with slash", mkdir("d/e/", 0755), 0);
    stat("d", &st);
    check_value("nlink", (long)st.st_nlink, 3);
    check_errno("rmdir of a full one", rmdir("d"), ENOTEMPTY);
    check_errno("rmdir .", rmdir("d/."), EINVAL);
    check_errno("rmdir ..", rmdir("d/e/.."), ENOTEMPTY);
    check_errno("unlink of a directory", unlink("d/e"), EISDIR);
    make("d/file", "x");
    check_errno("rmdir of a file", rmdir("d/file"), ENOTDIR);
    check_errno("unlink with slash", unlink("d/file/"), ENOTDIR);
    check_errno("unlink of nothing", unlink("d/none"), ENOENT);
    char before[256], after[256];
    getcwd(before, sizeof before);
    check_value("chdir", chdir("d/e"), 0);
    check_value("chdir ..", chdir("../.."), 0);
    getcwd(after, sizeof after);
    check("getcwd", !strcmp(before, after), after);
    check_errno("getcwd small", syscall(SYS_getcwd, after, 1), ERANGE);
    check_errno("chdir to a file", chdir("d/file"), ENOTDIR);
    mkdir("gone", 0700);
    chdir("gone");
    check_value("rmdir of the cwd", rmdir("../gone"), 0);
    check_errno("getcwd of a deleted", syscall(SYS_getcwd, after, 256), ENOENT);
    check_errno("create in a deleted", open("x", O_CREAT | O_RDWR, 0600), ENOENT);
    check_value("back", chdir(before), 0);
}

static void check_listing(void)
{
    mkdir("many", 0755);
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "many/%03d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *dir = opendir("many");
    int seen = 0, dots = 0, types = 0;
    static char found[300];
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') {
            dots++;
            continue;
        }
        int n = atoi(e->d_name);
        seen += n >= 0 && n < 300 && !found[n];
        found[n % 300] = 1;
        types += e->d_type == DT_REG;
        unlinkat(dirfd(dir), e->d_name, 0); // removing while listing skips nothing
    }
    check_value("readdir", seen, 300);
    check_value("dots", dots, 2);
    check_value("types", types, 300);
    rewinddir(dir);
    seen = 0;
    while (readdir(dir))
        seen++;
    check_value("rewinddir", seen, 2);
    char small[8];
    rewinddir(dir);
    check_errno("getdents64 small", syscall(SYS_getdents64, dirfd(dir), small, sizeof small),
                EINVAL);
    closedir(dir);
    check_value("empty now", rmdir("many"), 0);
    int fd = open("/dev/null", O_RDONLY);
    check_errno("getdents of a file", syscall(SYS_getdents64, fd, small, sizeof small), ENOTDIR);
    close(fd);
}

static void check_rename(void)
{
    struct stat st;
    make("r1", "one");
    make("r2", "two");
    check_value("rename over", rename("r1", "r2"), 0);
    check("contents moved", holds("r2", "one"), "differ");
    check_errno("source gone", stat("r1", &st), ENOENT);
    check_value("to itself", rename("r2", "r2"), 0);
    link("r2", "r3");
    check_value("to another name of itself", rename("r2", "r3"), 0);
    check_value("which stays", stat("r2", &st), 0);
    mkdir("rd", 0755);
    mkdir("rd/sub", 0755);
    check_errno("into itself", rename("rd", "rd/sub/x"), EINVAL);
    check_errno("over an ancestor", rename("rd/sub", "rd"), ENOTEMPTY);
    check_errno("file over directory", rename("r2", "rd/sub"), EISDIR);
    check_errno("directory over file", rename("rd", "r2"), ENOTDIR);
    mkdir("re", 0755);
    check_value("over an empty directory", rename("rd", "re"), 0);
    check_value("children follow", stat("re/sub", &st), 0);
    check_errno("of .", rename(".", "x"), EBUSY);
    check_errno("of nothing", rename("none", "x"), ENOENT);
    check_errno("across file systems", rename("r2", "/proc/r2"), EXDEV);
    check_errno("RENAME_NOREPLACE", syscall(SYS_renameat2, AT_FDCWD, "r2", AT_FDCWD, "r3", 1),
                EEXIST);
}

static void check_attributes(void)
{
    struct stat st;
    make("m", "12345");
    check_value("chmod", chmod("m", 0600), 0);
    stat("m", &st);
    check_value("mode", st.st_mode, S_IFREG | 0600);
    check_value("truncate up", truncate("m", 9000), 0);
    int fd = open("m", O_RDWR);
    char c[16] = "zzz";
    check_value("hole", pread(fd, c, 1, 8999), 1);
    check_value("is zero", c[0], 0);
    check_value("ftruncate down", ftruncate(fd, 3), 0);
    check_value("and up", ftruncate(fd, 5), 0);
    check_value("read", pread(fd, c, 16, 0), 5);
    check("tail is zero", !memcmp(c, "123\0\0", 5), "differs");
    check_errno("ftruncate negative", ftruncate(fd, -1), EINVAL);
    check_value("sparse write", pwrite(fd, "end", 3, 1l << 32), 3);
    fstat(fd, &st);
    check_value("sparse size", st.st_size, (1l << 32) + 3);
    close(fd);
    fd = open("m", O_RDONLY);
    check_errno("ftruncate of O_RDONLY", ftruncate(fd, 1), EINVAL);
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    check_value("futimens", futimens(fd, times), 0);
    fstat(fd, &st);
    check("times",
          st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 7,
          "differ");
    close(fd);
    check_errno("truncate of a directory", truncate(".", 0), EISDIR);
    check_value("access", access("m", R_OK | W_OK), 0);
    chmod("m", 0600);
    check_errno("access X_OK", access("m", X_OK), EACCES);
    check_errno("access mode", access("m", 99), EINVAL);
    check_value("mkfifo", mkfifo("fifo", 0600), 0);
    stat("fifo", &st);
    check("is a fifo", S_ISFIFO(st.st_mode), "no");
    check_value("fstatat of a descriptor", fstatat(1, "", &st, AT_EMPTY_PATH), 0);
    check_value("chown", chown("m", 12, 34), 0);
    stat("m", &st);
    check("owner", st.st_uid == 12 && st.st_gid == 34, "differs");
}

static void check_user(void)
{
    make("secret", "x");
    chmod("secret", 0600);
    mkdir("closed", 0700);
    pid_t pid = fork();
    if (pid == 0) {
        int bad = setgid(1000) | setuid(1000);
        bad |= !(open("secret", O_RDONLY) < 0 && errno == EACCES) << 1;
        bad |= !(chdir("closed") < 0 && errno == EACCES) << 2;
        bad |= !(unlink("secret") < 0 && errno == EACCES) << 3;
        bad |= !(chmod("secret", 0666) < 0 && errno == EPERM) << 4;
        bad |= !(mount("none", "closed", "tmpfs", 0, "") < 0 && errno == EPERM) << 5;
        _exit(bad);
    }
    int status;
    waitpid(pid, &status, 0);
    check_value("another user", WEXITSTATUS(status), 0);
}

static void check_mounts(void)
{
    struct stat st, outer;
    struct statfs fs;
    mkdir("mnt", 0755);
    stat("mnt", &outer);
    if (mount("none", "mnt", "tmpfs", 0, "size=64k") < 0) {
        check("mount", errno == EPERM, NULL); // not root on the reference machine
        return;
    }
    stat("mnt", &st);
    check("another device", st.st_dev != outer.st_dev, "same");
    check_value("statfs", statfs("mnt", &fs), 0);
    check("its size", fs.f_type == 0x01021994 && fs.f_blocks * (unsigned long)fs.f_bsize == 65536,
          "differs");
    make("mnt/x", "inside");
    static char big[65536];
    int fd = open("mnt/big", O_CREAT | O_WRONLY, 0600);
    long n = write(fd, big, sizeof big);
    check("full", n > 0 && n < (long)sizeof big, "wrote everything");
    check_errno("fuller", write(fd, big, 8192), ENOSPC);
    check_errno("busy", umount("mnt"), EBUSY);
    close(fd);
    check_errno("rmdir of a mount point", rmdir("mnt"), EBUSY);
    check_errno("link across", link("m", "mnt/m"), EXDEV);
    check_value("umount", umount("mnt"), 0);
    check_errno("gone", stat("mnt/x", &st), ENOENT);
    check_errno("umount again", umount("mnt"), EINVAL);
    check_errno("no such type", mount("none", "mnt", "nosuchfs", 0, ""), ENODEV);
    check_errno("on a file", mount("none", "m", "tmpfs", 0, ""), ENOTDIR);
    mount("none", "mnt", "tmpfs", MS_RDONLY, "");
    check_errno("read-only", open("mnt/x", O_CREAT | O_RDWR, 0600), EROFS);
    check_errno("read-only mkdir", mkdir("mnt/d", 0700), EROFS);
    check_value("umount that", umount("mnt"), 0);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || mkdir(argv[1], 0755) < 0 || chdir(argv[1]) < 0) {
        perror("directory");
        return 1;
    }
    check_open();
    check_links();
    check_directories();
    check_listing();
    check_rename();
    check_attributes();
    check_user();
    check_mounts();
    printf(failures ? "%d failed\n" : "all ok\n", failures);
    return failures != 0;
}
