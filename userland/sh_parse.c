// SPDX-License-Identifier: MIT
// Words, quotes and redirections of sh.
#include "sh.h"

#include <stdio.h>
#include <string.h>

struct writer {
    char *at, *end;
};

static bool put(struct writer *out, char c)
{
    if (out->at == out->end)
        return false;
    *out->at++ = c;
    return true;
}

static bool put_number(struct writer *out, long value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%ld", value);
    for (const char *c = digits; *c; c++)
        if (!put(out, *c))
            return false;
    return true;
}

/// Copy one word with quotes and $?, $! resolved; NULL if it does not fit or a quote is open.
static char *take_word(char **line, struct writer *out)
{
    char *word = out->at, quote = 0;
    for (; **line; (*line)++) {
        char c = **line;
        if (quote ? c == quote : (c == '"' || c == '\'')) {
            quote = quote ? 0 : c;
            continue;
        }
        if (!quote && strchr(" \t;&<>", c))
            break;
        bool fits;
        if (c == '$' && quote != '\'' && ((*line)[1] == '?' || (*line)[1] == '!'))
            fits = put_number(out, *++*line == '?' ? shell.status : shell.last_job);
        else if (c == '\\' && quote != '\'' && (*line)[1])
            fits = put(out, *++*line);
        else
            fits = put(out, c);
        if (!fits)
            return NULL;
    }
    return !quote && put(out, 0) ? word : NULL;
}

static void skip_blanks(char **line)
{
    *line += strspn(*line, " \t");
}

int parse_command(char **line, char *storage, size_t size, struct command *command)
{
    struct writer out = {storage, storage + size};
    memset(command, 0, sizeof *command);
    for (;;) {
        skip_blanks(line);
        char c = **line;
        if (!c || (c == '#' && !command->argc))
            return command->argc > 0;
        if (c == ';' || c == '&') {
            ++*line;
            command->background = c == '&';
            if (command->argc)
                return 1;
            continue;
        }
        const char **target = NULL;
        if (c == '>' || c == '<') {
            target = c == '>' ? &command->output : &command->input;
            ++*line;
            if (c == '>' && **line == '>') {
                command->append = true;
                ++*line;
            }
            skip_blanks(line);
        }
        char *word = take_word(line, &out);
        if (!word || (target && !*word) || (!target && command->argc == SH_MAX_WORDS)) {
            fputs("sh: open quote, missing file name or too many words\n", stderr);
            return -1;
        }
        if (target)
            *target = word;
        else
            command->argv[command->argc++] = word;
    }
}
