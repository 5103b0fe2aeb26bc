// SPDX-License-Identifier: MIT
// The shell's loop: read a line from the console, run its commands. See sh.h.
#include "sh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shell_state shell;
static const char prompt[] = "softnet# ";

static int run_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct builtin *lists[] = {core_builtins, file_builtins, net_builtins};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct builtin *b = lists[i]; b->name; b++)
            printf("  %-28s %s\n", b->usage, b->help);
    puts("  NAME or PATH [ARGUMENT…]     run a program (/bin, /test); '&' at the end: do not wait\n"
         "  Files to look at: /proc/net/snmp, /proc/interrupts, /sys/kernel/debug/tracing/trace");
    return 0;
}

static int run_exit(int argc, char **argv)
{
    exit(argc > 1 ? atoi(argv[1]) : shell.status);
}

static int run_poweroff(int argc, char **argv)
{
    (void)argc;
    reboot(!strcmp(argv[0], "reboot") ? RB_AUTOBOOT : RB_POWER_OFF);
    perror(argv[0]);
    return 1;
}

static int exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_wait(int argc, char **argv)
{
    int status = 0, result = 0;
    if (argc > 1)
        return waitpid((pid_t)atoi(argv[1]), &status, 0) < 0 ? 127 : exit_status(status);
    while (waitpid(-1, &status, 0) > 0)
        result = exit_status(status);
    return result;
}

static int run_kill(int argc, char **argv)
{
    int first = argc > 1 && argv[1][0] == '-' ? 2 : 1,
        number = first == 2 ? atoi(argv[1] + 1) : SIGTERM;
    int result = argc <= first;
    for (int i = first; i < argc; i++) {
        if (kill((pid_t)atoi(argv[i]), number) < 0) {
            perror("kill");
            result = 1;
        }
    }
    return result;
}

static int run_sleep(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0;
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    return 0;
}

static int run_cd(int argc, char **argv)
{
    if (chdir(argc > 1 ? argv[1] : "/") == 0)
        return 0;
    perror("cd");
    return 1;
}

const struct builtin core_builtins[] = {
    {"help", "help", "this list", run_help},
    {"wait", "wait [PID]", "until background programs have ended", run_wait},
    {"kill", "kill [-N] PID…", "send signal N (15)", run_kill},
    {"sleep", "sleep SECONDS", "do nothing for a while", run_sleep},
    {"cd", "cd [DIRECTORY]", "change directory", run_cd},
    {"exit", "exit [STATUS]", "end this shell", run_exit},
    {"poweroff", "poweroff", "switch the machine off", run_poweroff},
    {"reboot", "reboot", "start the machine again", run_poweroff},
    {NULL, NULL, NULL, NULL},
};

static const struct builtin *find_builtin(const char *name)
{
    const struct builtin *lists[] = {core_builtins, file_builtins, net_builtins};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct builtin *b = lists[i]; b->name; b++)
            if (!strcmp(b->name, name))
                return b;
    return NULL;
}

/// Put the file at descriptor `fd`; -1 (said) if it cannot be opened.
static int redirect(const char *path, int flags, int fd)
{
    int file = open(path, flags, 0644);
    if (file < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (file != fd) {
        dup2(file, fd);
        close(file);
    }
    return 0;
}

static int apply_redirections(const struct command *c)
{
    int write_flags = O_WRONLY | O_CREAT | (c->append ? O_APPEND : O_TRUNC);
    if (c->output && redirect(c->output, write_flags, STDOUT_FILENO) < 0)
        return -1;
    return c->input ? redirect(c->input, O_RDONLY, STDIN_FILENO) : 0;
}

static void execute(struct command *c)
{
    static const char *const places[] = {"", "/bin/", "/test/"};
    char *environment[] = {"PATH=/bin:/test", "HOME=/root", "TERM=vt100", NULL};
    bool has_path = strchr(c->argv[0], '/') != NULL;
    for (size_t i = has_path ? 0 : 1; i < (has_path ? 1 : sizeof places / sizeof *places); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s", places[i], c->argv[0]);
        execve(path, c->argv, environment);
        if (errno != ENOENT)
            break;
    }
    fprintf(stderr, "%s: %s\n", c->argv[0], errno == ENOENT ? "not found" : strerror(errno));
    _exit(127);
}

/// Write out what a built-in has printed; a file that refuses it makes the command fail.
static int finish_output(int status)
{
    if (fflush(stdout) == 0)
        return status;
    perror("write");
    clearerr(stdout);
    return 1;
}

/// Run a built-in in this process, with its output redirected if asked.
static int run_inside(const struct builtin *b, struct command *c)
{
    int saved = -1;
    if (c->output) {
        saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
        if (apply_redirections(c) < 0) {
            close(saved);
            return 1;
        }
    }
    int status = finish_output(b->run(c->argc, c->argv));
    if (saved >= 0) {
        dup2(saved, STDOUT_FILENO);
        close(saved);
    }
    return status;
}

static int run_command(struct command *c)
{
    const struct builtin *b = find_builtin(c->argv[0]);
    if (b && !c->background)
        return run_inside(b, c);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    if (pid == 0) {
        if (apply_redirections(c) < 0)
            _exit(1);
        if (!b)
            execute(c);
        _exit(finish_output(b->run(c->argc, c->argv)));
    }
    if (c->background) {
        shell.last_job = pid;
        return 0;
    }
    int status;
    return waitpid(pid, &status, 0) < 0 ? 127 : exit_status(status);
}

/// A line without its end; false at end of file.
static bool read_line(char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (c == '\n' || c == '\r')
            break;
        if (n + 1 < size)
            line[n++] = c;
    }
    line[n] = 0;
    return true;
}

int main(void)
{
    static char line[4096], storage[4096];
    struct command command;
    setvbuf(stdout, NULL, _IOFBF, 65536);
    run_inside(find_builtin("cat"), &(struct command){.argc = 2, .argv = {"cat", "/etc/motd"}});
    for (;;) {
        fputs(prompt, stdout);
        fflush(stdout);
        if (!read_line(line, sizeof line))
            return 0;
        char *rest = line;
        int got;
        while ((got = parse_command(&rest, storage, sizeof storage, &command)) > 0)
            shell.status = run_command(&command);
        if (got < 0)
            shell.status = 2;
    }
}
