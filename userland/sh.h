// SPDX-License-Identifier: MIT
// A small console shell for teaching and for tests: words, quotes, ';', '&', '>', '>>', '<', $?, $!, built-in commands, and
// programs by path or from /bin and /test. No variables, pipes or globs: busybox has those.
#ifndef SH_H
#define SH_H

#include <stdbool.h>
#include <sys/types.h>

enum { SH_MAX_WORDS = 64 };

/// One simple command, its words pointing into the line it was parsed from.
struct command {
    int argc;
    char *argv[SH_MAX_WORDS + 1];
    const char *input, *output;
    bool append, background;
};

/// What the shell remembers between commands.
struct shell_state {
    int status;     // $?
    pid_t last_job; // $!
};
extern struct shell_state shell;

/// A built-in command; returns its exit status.
struct builtin {
    const char *name;
    const char *usage;
    const char *help;
    int (*run)(int argc, char **argv);
};
extern const struct builtin core_builtins[], file_builtins[], net_builtins[]; // end at a null name

/// Take one command off *line (which it changes; words go to `storage`) up to ';', '&' or the end, and move *line on. 1: got
/// one, 0: nothing left, -1: syntax error (said on stderr).
int parse_command(char **line, char *storage, size_t size, struct command *command);

#endif
