// SPDX-License-Identifier: MIT
// Rights and limits: ids, groups, capabilities, resource limits, scheduling classes, locked memory, children of children. Starts as
// user 0. Prints "ok NAME" lines that are the same on Linux.
#include "guest_test.h"

#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SCHED_IDLE
#define SCHED_IDLE 5
#endif

/// Run `f` in a child, whose checks count.
static void in_child(void (*f)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        failures = 0;
        f();
        fflush(stdout);
        _exit(failures ? 1 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    failures += status != 0;
    if (WIFSIGNALED(status))
        printf("FAIL child: signal %d\n", WTERMSIG(status));
}

static void make_file(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    unlink(name);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || fchown(fd, uid, gid) || fchmod(fd, mode))
        perror(name);
    close(fd);
}

static void groups_and_files(void)
{
    make_file("by_group", 0040, 0, 500);
    make_file("by_owner", 0400, 1000, 0);
    gid_t list[] = {700, 500, 600}, got[8];
    check("setgroups", setgroups(3, list) == 0, NULL);
    check_value("getgroups", getgroups(8, got), 3);
    check("sorted", got[0] == 500 && got[1] == 600 && got[2] == 700, "other order");
    check_errno("too few places", getgroups(2, got), EINVAL);
    check("setresuid", setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 0) == 0, NULL);
    check("a group opens", open("by_group", O_RDONLY) >= 0, NULL);
    check("an owner opens", open("by_owner", O_RDONLY) >= 0, NULL);
    check_errno("not for writing", open("by_owner", O_WRONLY), EACCES);
    check_errno("setgroups", setgroups(1, list), EPERM);
    check_errno("chown", chown("by_group", 1000, 1000), EPERM);
    check_errno("kill", kill(1, 0), EPERM);
    check("back by the saved id", setuid(0) == 0 && geteuid() == 0 && getuid() == 1000, NULL);
    check("access asks for the real user",
          access("by_group", R_OK) == 0 && access("/root/nothing", F_OK) != 0, NULL);
    check("root's file for root", open("by_group", O_WRONLY) >= 0, NULL);
    check("give it up", setresuid(1000, 1000, 1000) == 0, NULL);
    check_errno("no way back", setuid(0), EPERM);
    check_errno("nor this", setreuid(0, 0), EPERM);
}

static void capabilities(void)
{
    struct {
        unsigned version;
        int pid;
    } head = {0x20080522, 0};
    struct {
        unsigned effective, permitted, inheritable;
    } data[2];
    check("capget", syscall(SYS_capget, &head, data) == 0 && (data[0].effective & 1), NULL);
    head.version = 1;
    check_errno("unknown version", syscall(SYS_capget, &head, data), EINVAL);
    check_value("ours", head.version, 0x20080522);
    prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L);
    check("setresuid", setresuid(1000, 1000, 1000) == 0, NULL);
    syscall(SYS_capget, &head, data);
    check("kept, not in force", data[0].permitted && !data[0].effective, NULL);
    check_errno("no right", chroot("/"), EPERM);
    data[0].effective = 1u << 18; // CAP_SYS_CHROOT
    data[1].effective = 0;
    check("capset", syscall(SYS_capset, &head, data) == 0, NULL);
    check("the right", chroot("/") == 0, NULL);
    data[0].permitted = data[0].effective = 0;
    data[1].permitted = 0;
    check("drop", syscall(SYS_capset, &head, data) == 0, NULL);
    data[0].permitted = 1;
    check_errno("no more", syscall(SYS_capset, &head, data), EPERM);
}

static void no_processes(void)
{
    setresuid(1001, 1001, 1001);
    struct rlimit l = {1, 1};
    setrlimit(RLIMIT_NPROC, &l);
    check_errno("RLIMIT_NPROC", fork(), EAGAIN);
    l.rlim_max = 2;
    check_errno("raise a hard limit", setrlimit(RLIMIT_NPROC, &l), EPERM);
}

static void limits(void)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit size = {10, RLIM_INFINITY}, memory = {64 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &size);
    int fd = open("limited", O_CREAT | O_RDWR | O_TRUNC, 0600);
    check_value("up to the limit", write(fd, "0123456789abcdef", 16), 10);
    check_errno("beyond", write(fd, "x", 1), EFBIG);
    check_errno("truncate", ftruncate(fd, 100), EFBIG);
    setrlimit(RLIMIT_AS, &memory);
    check("RLIMIT_AS",
          mmap(NULL, 256 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == ENOMEM,
          NULL);
}

static void locked_memory(void)
{
    size_t page = 4096;
    char *p = mmap(NULL, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char vec[64];
    check("mincore", mincore(p, 64 * page, vec) == 0 && !(vec[0] & 1), NULL);
    check("mlock",
          mlock(p, 4 * page) == 0 && mincore(p, 64 * page, vec) == 0 && (vec[3] & 1) &&
              !(vec[4] & 1),
          NULL);
    check_errno("MADV_DONTNEED of locked memory", madvise(p, page, MADV_DONTNEED), EINVAL);
    check("munlock", munlock(p, 4 * page) == 0 && madvise(p, page, MADV_DONTNEED) == 0, NULL);
    check_errno("mincore of nothing", mincore(p, 1UL << 40, vec), ENOMEM);
    struct rlimit l = {2 * page, 2 * page};
    setrlimit(RLIMIT_MEMLOCK, &l);
    setresuid(1000, 1000, 1000);
    check("within the limit", mlock(p, 2 * page) == 0, NULL);
    check_errno("beyond", mlock(p + 8 * page, page), ENOMEM);
    check_errno("MAP_LOCKED",
                mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) ==
                        MAP_FAILED
                    ? -1
                    : 0,
                EAGAIN);
}

static void scheduling(void)
{
    struct sched_param p = {.sched_priority = 7}, zero = {0};
    check("SCHED_FIFO", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p) == 0, NULL);
    check_value("policy", syscall(SYS_sched_getscheduler, 0), SCHED_FIFO);
    check("priority", syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority == 7, NULL);
    // A child of the same priority on the same CPU runs when we sleep, and we are back when we should.
    pid_t child = fork();
    if (!child)
        _exit(syscall(SYS_sched_getscheduler, 0) == SCHED_FIFO ? 3 : 4);
    int status;
    waitpid(child, &status, 0);
    check_value("inherited", WEXITSTATUS(status), 3);
    check_errno("priority 0", syscall(SYS_sched_setscheduler, 0, SCHED_RR, &zero), EINVAL);
    p.sched_priority = 1;
    check("SCHED_RR", syscall(SYS_sched_setscheduler, 0, SCHED_RR, &p) == 0, NULL);
    struct timespec slice;
    check("its slice",
          syscall(SYS_sched_rr_get_interval, 0, &slice) == 0 && slice.tv_nsec == 100000000, NULL);
    check("SCHED_IDLE", syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &zero) == 0, NULL);
    check("SCHED_OTHER", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &zero) == 0, NULL);
    check("nice", setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5, NULL);
    check("of the group", getpriority(PRIO_PGRP, 0) <= 5, NULL);
    setresuid(1000, 1000, 1000);
    check_errno("nicer", setpriority(PRIO_PROCESS, 0, 0), EACCES);
    check_errno("somebody else", setpriority(PRIO_PROCESS, getppid(), 10), EPERM);
    p.sched_priority = 1;
    check_errno("SCHED_FIFO", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p), EPERM);
}

static volatile sig_atomic_t died;
static void on_death(int sig)
{
    died = sig;
}

static void families(void)
{
    // A grandchild whose parent ends comes to its subreaper.
    check("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0, NULL);
    int pipes[2];
    if (pipe(pipes))
        perror("pipe");
    pid_t child = fork();
    if (!child) {
        pid_t grand = fork();
        if (!grand) {
            signal(SIGUSR1, on_death);
            prctl(PR_SET_PDEATHSIG, (long)SIGUSR1, 0L, 0L, 0L);
            char c = 'r';
            if (write(pipes[1], &c, 1) != 1)
                _exit(1);
            WAIT_FOR(died);
            _exit(died == SIGUSR1 ? 42 : 43);
        }
        char c;
        _exit(read(pipes[0], &c, 1) != 1);
    }
    siginfo_t info = {0};
    check("waitid",
          waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_EXITED &&
              info.si_pid == child,
          NULL);
    check("once more", waitpid(child, NULL, 0) == child, NULL);
    int status = 0;
    check("the orphan is ours", wait(&status) > 0, NULL);
    check_value("and was told", WEXITSTATUS(status), 42);
    check_errno("nobody left", wait(NULL), ECHILD);
    check_errno("waitid: nothing to wait for", waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
}

static int tell;
static void on_hangup(int sig)
{
    (void)sig;
    if (write(tell, "h", 1) != 1)
        _exit(2);
}

/// A stopped process group that loses its last parent of the session is hung up and continued.
static void orphaned_group(void)
{
    int pipes[2];
    if (pipe(pipes))
        perror("pipe");
    tell = pipes[1];
    pid_t a = fork();
    if (!a) {
        setpgid(0, 0);
        pid_t b = fork();
        if (!b) {
            signal(SIGHUP, on_hangup);
            raise(SIGSTOP);
            _exit(0);
        }
        waitpid(b, NULL, WUNTRACED);
        _exit(0);
    }
    waitpid(a, NULL, 0);
    char c = 0;
    close(pipes[1]);
    check("an orphaned group is hung up", read(pipes[0], &c, 1) == 1 && c == 'h', NULL);
    close(pipes[0]);
}

static void busy_text(void)
{
    char buffer[65536];
    int in = open("/proc/self/exe", O_RDONLY),
        out = open("copy", O_CREAT | O_WRONLY | O_TRUNC, 0755);
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)n) != n)
            perror("write");
    check_errno("ETXTBSY of execve", execl("./copy", "copy", "sleep", NULL), ETXTBSY);
    close(out);
    pid_t child = fork();
    if (!child) {
        do
            execl("./copy", "copy", "sleep", NULL);
        while (errno == ETXTBSY); // the parent has just looked, below
        _exit(9);
    }
    int fd = -1;
    for (double end = now() + PATIENCE_MS / 1000; now() < end;) {
        fd = open("copy", O_WRONLY);
        if (fd < 0)
            break;
        close(fd);
        sleep_ms(10);
    }
    check_errno("ETXTBSY of open", fd, ETXTBSY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check("free again", (fd = open("copy", O_WRONLY)) >= 0, NULL);
    close(fd);
    unlink("copy");
}

static void other_memory(void)
{
    static char mine[] = "of the parent", buffer[32];
    pid_t child = fork();
    if (!child) {
        strcpy(mine, "of the child.");
        pause();
    }
    struct iovec local = {buffer, sizeof mine}, remote = {mine, sizeof mine};
    WAIT_FOR(process_vm_readv(child, &local, 1, &remote, 1, 0) > 0 &&
             !strcmp(buffer, "of the child."));
    check("process_vm_readv", !strcmp(buffer, "of the child.") && !strcmp(mine, "of the parent"),
          buffer);
    struct iovec bad = {(void *)8, 4};
    check_errno("wild", process_vm_readv(child, &local, 1, &bad, 1, 0), EFAULT);
    check_errno("flags", process_vm_writev(child, &local, 1, &remote, 1, 1), EINVAL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check_errno("gone", process_vm_readv(child, &local, 1, &remote, 1, 0), ESRCH);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc > 1 && !strcmp(argv[1], "sleep"))
        pause();
    if (chdir("/tmp"))
        perror("/tmp");
    in_child(groups_and_files);
    in_child(capabilities);
    in_child(no_processes);
    in_child(limits);
    in_child(locked_memory);
    in_child(scheduling);
    in_child(orphaned_group);
    in_child(families);
    in_child(busy_text);
    in_child(other_memory);
    printf(failures ? "proc_rights: %d failed\n" : "proc_rights: all ok\n", failures);
    return failures != 0;
}
