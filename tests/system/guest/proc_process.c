// SPDX-License-Identifier: MIT
// Processes: fork, vfork, execve, exit, wait, sessions and groups, orphans. Runs itself again as "proc_process exec …".
#include "guest_test.h"

#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

extern char **environ;
static const char *self;

static int wait_status(pid_t child)
{
    int status = -1;
    return waitpid(child, &status, 0) == child ? status : -1;
}

static pid_t spawn(char *const argv[], char *const envp[])
{
    pid_t child = fork();
    if (child)
        return child;
    execve(self, argv, envp);
    _exit(126);
}

static void check_exit(void)
{
    pid_t child = fork();
    if (!child)
        _exit(0x123);
    check_value("exit status", wait_status(child), 0x23 << 8);
    check_errno("wait without children", wait(NULL), ECHILD);
    child = fork();
    if (!child)
        for (;;)
            pause();
    check_value("WNOHANG", waitpid(child, NULL, WNOHANG), 0);
    kill(child, SIGKILL);
    check_value("killed", wait_status(child), SIGKILL);
    check_errno("gone", kill(child, 0), ESRCH);
    siginfo_t info = {0};
    child = fork();
    if (!child)
        _exit(9);
    check_value("waitid WNOWAIT", waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    check("waitid fields",
          info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 9, "differ");
    check_value("still there", wait_status(child), 9 << 8);
}

static void check_copy_on_write(void)
{
    static char area[3 * 4096];
    memset(area, 'p', sizeof area);
    pid_t child = fork();
    if (!child) {
        int good = area[0] == 'p' && area[sizeof area - 1] == 'p';
        memset(area, 'c', sizeof area);
        sleep_ms(50);
        _exit(good && area[4096] == 'c' ? 0 : 1);
    }
    area[4096] = 'q';
    check_value("child's copy", wait_status(child), 0);
    check("parent's copy", area[0] == 'p' && area[4096] == 'q' && area[8192] == 'p', "changed");
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child = fork();
    if (!child) {
        *shared = 42;
        _exit(0);
    }
    wait_status(child);
    check_value("shared mapping", *shared, 42);
    munmap(shared, 4096);
}

static void check_vfork(void)
{
    static volatile int reached;
    pid_t child = vfork();
    if (!child) {
        reached = 1;
        char *argv[] = {"x", "exec", "status", NULL};
        execve(self, argv, environ);
        _exit(1);
    }
    check("vfork shares memory", reached, "no");
    check_value("vfork then exec", wait_status(child), 77 << 8);
    child = vfork();
    if (!child)
        _exit(5);
    check_value("vfork then exit", wait_status(child), 5 << 8);
}

static void check_exec(void)
{
    char *argv[] = {"zero", "exec", "args", "", "last word", NULL}, *envp[] = {"A=1", "B=", NULL};
    check_value("arguments and environment", wait_status(spawn(argv, envp)), 0);
    char *loop[] = {"x", "exec", "auxv", NULL};
    check_value("auxiliary vector", wait_status(spawn(loop, environ)), 0);
    char *fds[] = {"x", "exec", "cloexec", NULL};
    int kept = dup(1), closed = fcntl(1, F_DUPFD_CLOEXEC, 50);
    check_value("close on exec", wait_status(spawn(fds, environ)), 0);
    close(kept);
    close(closed);
    check_errno("exec of nothing", execve("/no/such/file", argv, envp), ENOENT);
    check_errno("exec of a directory", execve("/", argv, envp), EACCES);
    check_errno("exec with a bad vector", syscall(SYS_execve, self, 8L, envp), EFAULT);
    size_t length = 200 * 1024;
    char *big = malloc(length);
    memset(big, 'x', length);
    big[length - 1] = 0;
    char *too_big[] = {"x", big, NULL};
    check_errno("exec with a huge string", execve(self, too_big, envp), E2BIG);
    big[100 * 1024] = 0;
    char *fits[] = {"x", "exec", "long", big, NULL};
    check_value("exec with a long string", wait_status(spawn(fits, environ)), 0);
    free(big);
}

static void write_file(const char *name, const char *text, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        perror(name);
    close(fd);
}

static void check_script(void)
{
    char text[256];
    snprintf(text, sizeof text, "#! %s exec\n", self);
    write_file("/tmp/script", text, strlen(text));
    pid_t child = fork();
    if (!child) {
        execl("/tmp/script", "ignored", "script", NULL);
        _exit(errno);
    }
    check_value("script", wait_status(child), 3 << 8);
    write_file("/tmp/script", "\177ELF garbage", 12);
    char *argv[] = {"x", NULL};
    check_errno("garbage", execve("/tmp/script", argv, environ), ENOEXEC);
    write_file("/tmp/script", "", 0);
    check_errno("empty file", execve("/tmp/script", argv, environ), ENOEXEC);
    write_file("/tmp/script", "#!/tmp/script\n", 14);
    check_errno("script of itself", execve("/tmp/script", argv, environ), ELOOP);
    chmod("/tmp/script", 0644);
    check_errno("not executable", execve("/tmp/script", argv, environ), EACCES);
    unlink("/tmp/script");
}

static void check_groups(void)
{
    check_value("own group", getpgid(0), getpgrp());
    pid_t child = fork();
    if (!child) {
        int bad = setsid() != getpid() || getsid(0) != getpid() || getpgrp() != getpid();
        bad |= setpgid(0, 0) == 0 || errno != EPERM;
        _exit(bad);
    }
    check_value("setsid", wait_status(child), 0);
    child = fork();
    if (!child)
        for (;;)
            pause();
    check_value("setpgid of a child", setpgid(child, child), 0);
    check_value("its group", getpgid(child), child);
    check_value("kill the group", kill(-child, SIGTERM), 0);
    int status;
    check_value("wait for the group", waitpid(-child, &status, 0), child);
    check_value("status", status, SIGTERM);
    check_errno("no such group", kill(-99999, SIGTERM), ESRCH);
}

static void check_stop(void)
{
    int status;
    pid_t child = fork();
    if (!child)
        for (;;)
            pause();
    kill(child, SIGSTOP);
    check_value("stopped", waitpid(child, &status, WUNTRACED), child);
    check("stop status", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "differs");
    kill(child, SIGCONT);
    check_value("continued", waitpid(child, &status, WCONTINUED), child);
    check("continue status", WIFCONTINUED(status), "differs");
    kill(child, SIGSTOP);
    kill(child, SIGKILL);
    check_value("killed while stopped", wait_status(child), SIGKILL);
}

static void check_orphan(void)
{
    int fds[2];
    if (pipe(fds))
        perror("pipe");
    if (!fork()) {
        if (!fork()) {
            WAIT_FOR(getppid() == 1);
            pid_t parent = getppid();
            _exit(write(fds[1], &parent, sizeof parent) != sizeof parent);
        }
        _exit(0);
    }
    wait(NULL);
    pid_t parent = 0;
    check_value("orphan speaks", read(fds[0], &parent, sizeof parent), sizeof parent);
    check_value("orphan's parent", parent, 1);
    close(fds[0]);
    close(fds[1]);
}

static volatile sig_atomic_t told;
static void on_told(int sig)
{
    told = sig;
}

/// Forks until told not to; each child ends when it is told, or was before it was born.
static void fork_until_told(void)
{
    int children = 0;
    signal(SIGUSR1, on_told);
    setpgid(0, 0);
    alarm(PATIENCE_MS / 1000);
    for (; !told && children < 100; children++) {
        pid_t child = (pid_t)syscall(SYS_fork); // libc's blocks the signal meanwhile
        while (!child && !told)
            sleep_ms(1);
        if (child <= 0)
            _exit(child < 0);
    }
    while (wait(NULL) > 0)
        children--;
    _exit(children != 0);
}

/// A signal for a group misses no child that is just being made.
static void check_group_signal(void)
{
    int good = 1;
    for (int i = 0; i < 20 && good; i++) {
        pid_t leader = fork();
        if (!leader)
            fork_until_told();
        while (getpgid(leader) != leader)
            sleep_ms(1);
        sleep_ms(i);
        kill(-leader, SIGUSR1);
        good &= wait_status(leader) == 0;
        kill(-leader, SIGKILL);
    }
    check("a signal for a group reaches its newest child", good, "missed");
}

static void check_many(void)
{
    enum { MANY = 200 };
    pid_t pids[MANY];
    int good = 1;
    for (int i = 0; i < MANY; i++) {
        pids[i] = fork();
        if (!pids[i])
            _exit(i & 0x7f);
    }
    for (int i = 0; i < MANY; i++)
        good &= wait_status(pids[i]) == (i & 0x7f) << 8;
    check("many children", good, "statuses differ");
}

static void check_facts(void)
{
    struct utsname u;
    check_value("uname", uname(&u), 0);
    check("names", !strcmp(u.sysname, "Linux"), u.sysname);
    char name[16] = "";
    prctl(PR_SET_NAME, "a name that is too long");
    prctl(PR_GET_NAME, name);
    check("thread name", !strcmp(name, "a name that is "), name);
    struct rlimit r;
    check_value("getrlimit", getrlimit(RLIMIT_NOFILE, &r), 0);
    struct rusage usage;
    check_value("getrusage", getrusage(RUSAGE_SELF, &usage), 0);
    cpu_set_t set;
    check("affinity", sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0, NULL);
    CPU_ZERO(&set);
    check_errno("empty affinity", sched_setaffinity(0, sizeof set, &set), EINVAL);
    check_errno("unknown call", syscall(511), ENOSYS);
    check_errno("number out of range", syscall(100000), ENOSYS);
}

static int exec_args(int argc, char **argv)
{
    int good = argc == 5 && !strcmp(argv[0], "zero") && !*argv[3] && !strcmp(argv[4], "last word");
    good &= environ[0] && !strcmp(environ[0], "A=1") && !strcmp(environ[1], "B=") && !environ[2];
    return !good;
}

static int exec_auxv(void)
{
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    const char *name = (const char *)getauxval(AT_EXECFN);
    int any = 0;
    for (int i = 0; random && i < 16; i++)
        any |= random[i];
    return !(any && name && !strcmp(name, self) && getauxval(AT_PAGESZ) == 4096 &&
             getauxval(AT_PHDR) && getauxval(AT_CLKTCK) == 100 && getauxval(AT_ENTRY) &&
             !getauxval(AT_SECURE));
}

static int executed(int argc, char **argv)
{
    self = (const char *)getauxval(AT_EXECFN);
    const char *what = argc > 2 ? argv[2] : "";
    if (!strcmp(what, "status"))
        return 77;
    if (!strcmp(what, "args"))
        return exec_args(argc, argv);
    if (!strcmp(what, "auxv"))
        return exec_auxv();
    if (!strcmp(what, "cloexec"))
        return fcntl(50, F_GETFD) >= 0 || fcntl(1, F_GETFD) < 0;
    if (!strcmp(what, "long"))
        return strlen(argv[3]) != 100 * 1024;
    if (!strcmp(what, "/tmp/script") && argc == 4 && !strcmp(argv[3], "script"))
        return 3;
    return 99;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "exec"))
        return executed(argc, argv);
    self = (const char *)getauxval(AT_EXECFN);
    line_output();
    check_exit();
    check_copy_on_write();
    check_vfork();
    check_exec();
    check_script();
    check_groups();
    check_stop();
    check_orphan();
    check_group_signal();
    check_many();
    check_facts();
    printf("proc_process: %d failed\n", failures);
    return failures != 0;
}
