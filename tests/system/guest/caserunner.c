// SPDX-License-Identifier: MIT
// Process 1 of the differential tests and the judges, the same on Softnet and on Linux: mounts what a userland expects, runs
// each case of /cases in a clean directory and session, and reports to the console what it wrote and how it ended.
//
// /cases holds records of NUL-terminated words: name, seconds allowed, number of words of the command, the words.
// Report, one line each: "#B name", "#O text" per line of output (with \xHH for what is not printable), "#E name exit N",
// "#E name signal N" or "#E name timeout", and at the very end "#D". Anything else on the console is the kernel's.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORDS = 64, MAX_OUTPUT = 1 << 20 };

static const char work_directory[] = "/tmp/case";
static int console = 1;

struct test_case {
    char *name;
    int seconds;
    char *words[MAX_WORDS + 1];
};

static void put(const char *text, size_t size)
{
    while (size) {
        ssize_t n = write(console, text, size);
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    put(line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

/// Output as "#O" lines; a last line without its newline ends in "\c".
static void put_output(const char *data, size_t size)
{
    char line[4096];
    size_t at = 0;
    bool open_line = false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        if (!open_line) {
            memcpy(line, "#O ", 3);
            at = 3;
            open_line = true;
        }
        if (c == '\n') {
            line[at++] = '\n';
            put(line, at);
            open_line = false;
        } else if (c < ' ' || c > '~' || c == '\\') {
            at += (size_t)sprintf(line + at, "\\x%02x", c);
        } else {
            line[at++] = (char)c;
        }
        if (open_line && at > sizeof line - 16) {
            memcpy(line + at, "\\c\n", 3);
            put(line, at + 3);
            open_line = false;
        }
    }
    if (open_line) {
        memcpy(line + at, "\\c\n", 3);
        put(line, at + 3);
    }
}

static void mount_one(const char *type, const char *where, const char *options)
{
    mkdir(where, 0755);
    if (mount(type, where, type, 0, options) < 0 && errno != EBUSY)
        say("caserunner: %s: %s\n", where, strerror(errno));
}

static void prepare(void)
{
    mount_one("proc", "/proc", NULL);
    mount_one("sysfs", "/sys", NULL);
    mount_one("devtmpfs", "/dev", NULL);
    mount_one("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666");
    mount_one("tmpfs", "/dev/shm", "mode=1777");
    mount_one("tmpfs", "/tmp", "mode=1777");
    mount_one("tmpfs", "/run", "mode=755");
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    sethostname("guest", 5);
}

/// Remove what is in a directory, however deep (paths would become too long), but no mount point's contents.
static void empty_directory(int fd)
{
    DIR *directory = fdopendir(fd);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) == 0)
            continue;
        int child = openat(dirfd(directory), entry->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0)
            empty_directory(child);
        unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    }
    if (directory)
        closedir(directory);
}

/// Unmount what the last case has mounted below /tmp.
static void unmount_leftovers(void)
{
    char line[1024], where[512];
    for (int tries = 0; tries < 50; tries++) {
        FILE *mounts = fopen("/proc/mounts", "re");
        bool found = false;
        while (mounts && fgets(line, sizeof line, mounts))
            if (sscanf(line, "%*s %511s", where) == 1 && strncmp(where, "/tmp/", 5) == 0)
                found = umount2(where, MNT_DETACH) == 0 || found;
        if (mounts)
            fclose(mounts);
        if (!found)
            return;
    }
}

static void clean(void)
{
    chdir("/");
    umask(022);
    unmount_leftovers();
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        empty_directory(fd);
    mkdir(work_directory, 0777);
    chmod(work_directory, 0777);
}

/// The child's side: a session of its own, nothing on stdin, a fixed environment.
static void run_child(const struct test_case *c, int out)
{
    char *environment[] = {"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/test",
                           "HOME=/root",
                           "TERM=vt100",
                           "LC_ALL=C",
                           "SHELL=/bin/sh",
                           "TMPDIR=/tmp",
                           "USER=root",
                           "LOGNAME=root",
                           "COLUMNS=80",
                           "LINES=24",
                           NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    chdir(work_directory);
    execve(c->words[0], c->words, environment);
    dprintf(2, "caserunner: %s: %s\n", c->words[0], strerror(errno));
    _exit(127);
}

static void on_child(int sig)
{
    (void)sig;
}

/// SIGCHLD ends wait_for_news(), and nothing else.
static void watch_children(void)
{
    struct sigaction a = {.sa_handler = on_child};
    sigset_t child;
    sigaction(SIGCHLD, &a, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void kill_all(void)
{
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

struct output {
    char *data;
    size_t size;
};

/// Take what the pipe has; false at its end.
static bool drain(int fd, struct output *o)
{
    char block[16384];
    ssize_t n = read(fd, block, sizeof block);
    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    size_t room = MAX_OUTPUT - o->size;
    size_t take = (size_t)n < room ? (size_t)n : room;
    memcpy(o->data + o->size, block, take);
    o->size += take;
    return true;
}

/// Sleep until the pipe `fd` (-1: none) has something, a child has ended, or it is `deadline`: a case that looks at process 1 finds
/// it asleep. SIGCHLD is blocked but for here. True if the pipe is to be read.
static bool wait_for_news(int fd, long long deadline)
{
    struct pollfd p = {fd, POLLIN, 0};
    long long left = deadline - now_ms();
    struct timespec limit = {left > 0 ? left / 1000 : 0, left > 0 ? left % 1000 * 1000000 : 0};
    sigset_t none;
    sigemptyset(&none);
    return ppoll(&p, 1, &limit, &none) > 0;
}

static void run_case(const struct test_case *c, struct output *o)
{
    int ends[2];
    clean();
    o->size = 0;
    say("#B %s\n", c->name);
    if (pipe(ends) < 0) {
        say("#E %s exit 126\n", c->name);
        return;
    }
    pid_t child = fork();
    if (child == 0)
        run_child(c, ends[1]);
    close(ends[1]);
    long long deadline = now_ms() + c->seconds * 1000LL;
    bool ended = false, late = false, more = true;
    int status = 0;
    while (!ended && !late) {
        if (wait_for_news(more ? ends[0] : -1, deadline))
            more = drain(ends[0], o);
        int s;
        pid_t pid;
        while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
            if (pid == child) {
                ended = true;
                status = s;
            }
        }
        late = !ended && now_ms() > deadline;
    }
    kill_all();
    while (more)
        more = drain(ends[0], o);
    close(ends[0]);
    put_output(o->data, o->size);
    if (late)
        say("#E %s timeout\n", c->name);
    else if (WIFSIGNALED(status))
        say("#E %s signal %d\n", c->name, WTERMSIG(status));
    else
        say("#E %s exit %d\n", c->name, WEXITSTATUS(status));
}

static char *next_word(char **at, char *end)
{
    char *word = *at;
    char *nul = word < end ? memchr(word, 0, (size_t)(end - word)) : NULL;
    if (!nul)
        return NULL;
    *at = nul + 1;
    return word;
}

static bool next_case(char **at, char *end, struct test_case *c)
{
    c->name = next_word(at, end);
    char *seconds = next_word(at, end), *count = next_word(at, end);
    if (!c->name || !seconds || !count)
        return false;
    c->seconds = atoi(seconds);
    int n = atoi(count);
    if (n < 1 || n > MAX_WORDS)
        return false;
    for (int i = 0; i < n; i++)
        if (!(c->words[i] = next_word(at, end)))
            return false;
    c->words[n] = NULL;
    return true;
}

static char *load_cases(size_t *size)
{
    struct stat st;
    int fd = open("/cases", O_RDONLY);
    char *data = NULL;
    *size = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && (data = malloc((size_t)st.st_size + 1)))
        while (*size < (size_t)st.st_size) {
            ssize_t n = read(fd, data + *size, (size_t)st.st_size - *size);
            if (n <= 0)
                break;
            *size += (size_t)n;
        }
    if (fd >= 0)
        close(fd);
    return data;
}

int main(void)
{
    prepare();
    watch_children();
    int fd = open("/dev/console", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        console = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    struct output o = {malloc(MAX_OUTPUT), 0};
    size_t size;
    char *cases = load_cases(&size), *at = cases;
    struct test_case c;
    if (!cases || !o.data)
        say("caserunner: no /cases\n");
    else
        while (next_case(&at, cases + size, &c))
            run_case(&c, &o);
    say("#D\n");
    sync();
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
