// SPDX-License-Identifier: MIT
// strace in the kernel: argument printers, the choice of processes and calls, /sys/kernel/debug/strace. Process context. A line is put
// together in a buffer of the task's stack and printed when the call has returned; exit's before it runs.
#include "syscall/strace.h"
#include "fs/seq_file.h"
#include "lib/cmdline.h"
#include "lib/initcall.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "net/uapi.h"
#include "sched/sched.h"
#include "syscall/file.h"
#include "syscall/ipc.h"
#include "syscall/mm.h"
#include "syscall/net.h"
#include "syscall/process.h"
#include "syscall/signal.h"
#include "syscall/system.h"
#include "syscall/time.h"
#include "syscall/watch.h"

namespace
{
constexpr unsigned LINE = 480, SHOWN = 32; // like strace -s 32

// --- One letter for each argument, by number --------------------------------------------------------

template <class T>
constexpr char letter = 'n';
template <>
constexpr char letter<int> = 'd';
template <>
constexpr char letter<s64> = 'd';
template <class T>
constexpr char letter<user_ptr<T>> = 'p';
template <>
constexpr char letter<user_ptr<const char>> = 's';

struct call_format {
    char letters[8] = {};
};
template <auto F>
struct format_of;
template <class R, class... A, R (*F)(A...)>
struct format_of<F> {
    static constexpr call_format get()
    {
        call_format f;
        const char all[] = {letter<A>..., 0};
        unsigned n = 0;
        for (unsigned i = syscall_detail::takes_regs<A...> ? 1 : 0; all[i]; i++)
            f.letters[n++] = all[i];
        return f;
    }
};

constexpr call_format named_format(call_format f, const char *letters)
{
    for (unsigned i = 0; i < 7; i++) {
        f.letters[i] = letters[i];
        if (!letters[i])
            break;
    }
    return f;
}
constexpr bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}
constexpr call_format with_letters(call_format f, [[maybe_unused]] const char *name)
{
#define STRACE(n, l)    \
    if (same(name, #n)) \
        return named_format(f, l);
#include "syscall/strace_format.h"
#undef STRACE
    return f;
}

struct call_formats {
    call_format of[NR_SYSCALLS];
};
constexpr call_formats make_formats()
{
    call_formats t;
#define SYSCALL(nr, name) t.of[nr] = with_letters(format_of<sys_##name>::get(), #name);
#include "syscall/table.h"
#undef SYSCALL
    return t;
}
constexpr call_formats formats = make_formats();

// --- Printing ---------------------------------------------------------------------------------------

/// The line so far; what does not fit is cut.
struct text_line {
    char text[LINE];
    unsigned len = 0;
    __attribute__((format(printf, 2, 3))) void add(const char *fmt, ...)
    {
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(text + len, LINE - len, fmt, ap);
        va_end(ap);
        len = min(len + static_cast<unsigned>(max(n, 0)), LINE - 1);
    }
};

struct bit_name {
    u64 bit;
    const char *name;
};
/// "A|B|0x40": names of the bits in v, the rest in hexadecimal; `none` if v is 0.
void add_bits(text_line &l, u64 v, const bit_name *names, unsigned n, const char *none)
{
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        if ((v & names[i].bit) != names[i].bit)
            continue;
        l.add("%s%s", any ? "|" : "", names[i].name);
        v &= ~names[i].bit;
        any = true;
    }
    if (v)
        l.add("%s%#llx", any ? "|" : "", static_cast<unsigned long long>(v));
    else if (!any)
        l.add("%s", none);
}
template <unsigned N>
void add_bits(text_line &l, u64 v, const bit_name (&names)[N], const char *none)
{
    add_bits(l, v, names, N, none);
}

constexpr bit_name open_bits[] = {
    {O_CREAT, "O_CREAT"},         {O_EXCL, "O_EXCL"},         {O_NOCTTY, "O_NOCTTY"},
    {O_TRUNC, "O_TRUNC"},         {O_APPEND, "O_APPEND"},     {O_NONBLOCK, "O_NONBLOCK"},
    {O_SYNC, "O_SYNC"},           {O_DSYNC, "O_DSYNC"},       {O_LARGEFILE, "O_LARGEFILE"},
    {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_CLOEXEC, "O_CLOEXEC"},
    {O_PATH, "O_PATH"},           {O_NOATIME, "O_NOATIME"},   {O_DIRECT, "O_DIRECT"},
};
constexpr bit_name prot_names[] = {{1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}};
constexpr bit_name map_names[] = {{0x10, "MAP_FIXED"},       {0x20, "MAP_ANONYMOUS"},
                                  {0x100, "MAP_GROWSDOWN"},  {0x800, "MAP_DENYWRITE"},
                                  {0x4000, "MAP_NORESERVE"}, {0x8000, "MAP_POPULATE"},
                                  {0x20000, "MAP_STACK"}};
constexpr bit_name msg_names[] = {{0x1, "MSG_OOB"},       {0x2, "MSG_PEEK"},
                                  {0x20, "MSG_TRUNC"},    {0x40, "MSG_DONTWAIT"},
                                  {0x100, "MSG_WAITALL"}, {0x4000, "MSG_NOSIGNAL"},
                                  {0x8000, "MSG_MORE"},   {0x40000000, "MSG_CMSG_CLOEXEC"}};
constexpr const char *signal_names[] = {
    nullptr,     "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};
constexpr const char *epoll_ops[] = {nullptr, "EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD"};
constexpr const char *errno_names[] = {
    nullptr,   "EPERM",        "ENOENT", "ESRCH",  "EINTR",     "EIO",     "ENXIO",
    "E2BIG",   "ENOEXEC",      "EBADF",  "ECHILD", "EAGAIN",    "ENOMEM",  "EACCES",
    "EFAULT",  "ENOTBLK",      "EBUSY",  "EEXIST", "EXDEV",     "ENODEV",  "ENOTDIR",
    "EISDIR",  "EINVAL",       "ENFILE", "EMFILE", "ENOTTY",    "ETXTBSY", "EFBIG",
    "ENOSPC",  "ESPIPE",       "EROFS",  "EMLINK", "EPIPE",     "EDOM",    "ERANGE",
    "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY", "ELOOP",
};
constexpr const char *net_errno_names[] = { // from 88 on
    "ENOTSOCK",        "EDESTADDRREQ",    "EMSGSIZE",   "EPROTOTYPE",   "ENOPROTOOPT",
    "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP", "EPFNOSUPPORT", "EAFNOSUPPORT",
    "EADDRINUSE",      "EADDRNOTAVAIL",   "ENETDOWN",   "ENETUNREACH",  "ENETRESET",
    "ECONNABORTED",    "ECONNRESET",      "ENOBUFS",    "EISCONN",      "ENOTCONN",
    "ESHUTDOWN",       "ETOOMANYREFS",    "ETIMEDOUT",  "ECONNREFUSED", "EHOSTDOWN",
    "EHOSTUNREACH",    "EALREADY",        "EINPROGRESS"};

/// Name of v in a table of names; null: it has none.
template <unsigned N>
const char *name_in(const char *const (&names)[N], u64 v)
{
    return v < N ? names[v] : nullptr;
}

void add_quoted(text_line &l, const char *s, size_t n, bool more)
{
    l.add("\"");
    for (size_t i = 0; i < n; i++) {
        auto c = static_cast<unsigned char>(s[i]);
        if (c == '\n' || c == '\t' || c == '\r')
            l.add("\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c == '"' || c == '\\')
            l.add("\\%c", c);
        else if (c < ' ' || c > '~')
            l.add("\\%o", c);
        else
            l.add("%c", c);
    }
    l.add(more ? "\"..." : "\"");
}

void add_pointer(text_line &l, u64 a)
{
    if (a)
        l.add("%#llx", static_cast<unsigned long long>(a));
    else
        l.add("NULL");
}

/// Bytes of the user's memory, in quotes.
void add_buffer(text_line &l, u64 a, u64 n)
{
    char s[SHOWN];
    size_t k = min<u64>(n, SHOWN);
    if (!a || !copy_from_user(s, user_ptr<const void>{a}, k))
        add_pointer(l, a);
    else
        add_quoted(l, s, k, n > k);
}

void add_string(text_line &l, u64 a)
{
    char s[SHOWN + 1];
    ssize_t n = a ? arch_strncpy_from_user(s, reinterpret_cast<const char *>(a), sizeof s) : -1;
    if (n < 0)
        add_pointer(l, a);
    else
        add_quoted(l, s, strnlen(s, SHOWN), strnlen(s, sizeof s) > SHOWN);
}

void add_argv(text_line &l, u64 a)
{
    u64 word = 0;
    l.add("[");
    for (unsigned i = 0;; i++, a += sizeof word) {
        if (!copy_from_user(&word, user_ptr<const void>{a}, sizeof word) || !word)
            break;
        if (i)
            l.add(", ");
        if (i == SHOWN) {
            l.add("...");
            break;
        }
        add_string(l, word);
    }
    l.add("]");
}

void add_sockaddr(text_line &l, u64 a, u64 n)
{
    sockaddr_storage s{};
    if (!a || n < sizeof(u16) || n > sizeof s || !copy_from_user(&s, user_ptr<const void>{a}, n))
        return add_pointer(l, a);
    const auto &in = reinterpret_cast<const sockaddr_in &>(s);
    if (in.sin_family == AF_INET && n >= sizeof in)
        l.add("{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%pI4\")}",
              ntohs(in.sin_port), static_cast<const void *>(&in.sin_addr));
    else if (in.sin_family == AF_UNIX)
        l.add("{sa_family=AF_UNIX, sun_path=\"%.100s\"}",
              reinterpret_cast<const char *>(&s) + sizeof(u16));
    else
        l.add("{sa_family=%u}", in.sin_family);
}

void add_named(text_line &l, const char *name, u64 v)
{
    if (name)
        l.add("%s", name);
    else
        l.add("%lld", static_cast<long long>(v));
}

void add_socket_type(text_line &l, u64 v)
{
    static constexpr const char *types[] = {nullptr,    "SOCK_STREAM", "SOCK_DGRAM",
                                            "SOCK_RAW", "SOCK_RDM",    "SOCK_SEQPACKET"};
    if (v & 15)
        add_named(l, name_in(types, v & 15), v & 15);
    if (v & O_NONBLOCK)
        l.add("%sSOCK_NONBLOCK", v & 15 ? "|" : "");
    if (v & O_CLOEXEC)
        l.add("|SOCK_CLOEXEC");
    if (!v)
        l.add("0");
}

void add_open_flags(text_line &l, u64 v)
{
    static constexpr const char *modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    l.add("%s", modes[v & O_ACCMODE]);
    if (v & ~u64{O_ACCMODE}) {
        l.add("|");
        add_bits(l, v & ~u64{O_ACCMODE}, open_bits, "0");
    }
}

/// Small numbers in decimal, others (addresses, masks) in hexadecimal.
void add_number(text_line &l, u64 v)
{
    if (v < 0x100000)
        l.add("%llu", static_cast<unsigned long long>(v));
    else
        l.add("%#llx", static_cast<unsigned long long>(v));
}

/// One argument. `next`: the one behind it, for lengths.
void add_argument(text_line &l, char kind, u64 v, u64 next)
{
    static constexpr const char *families[] = {"AF_UNSPEC", "AF_UNIX", "AF_INET"};
    auto i = static_cast<int>(v);
    switch (kind) {
    case 'd':
        return l.add("%d", i);
    case 'x':
        return l.add("%#llx", static_cast<unsigned long long>(v));
    case 'o':
        return l.add("0%o", static_cast<u32>(v));
    case 'p':
        return add_pointer(l, v);
    case 's':
        return add_string(l, v);
    case 'A':
        return add_argv(l, v);
    case 'a':
        return i == -100 ? l.add("AT_FDCWD") : l.add("%d", i);
    case 'f':
        return add_open_flags(l, static_cast<u32>(v));
    case 'b':
        return add_buffer(l, v, next);
    case 'S':
        return add_sockaddr(l, v, next);
    case 'F':
        return add_named(l, name_in(families, v), v);
    case 'T':
        return add_socket_type(l, static_cast<u32>(v));
    case 'P':
        return add_bits(l, static_cast<u32>(v), prot_names, "PROT_NONE");
    case 'M':
        l.add("%s", (v & 3) == 1 ? "MAP_SHARED" : (v & 3) == 2 ? "MAP_PRIVATE" : "0");
        if (v & ~u64{3}) {
            l.add("|");
            add_bits(l, static_cast<u32>(v) & ~u32{3}, map_names, "0");
        }
        return;
    case 'g':
        return add_named(l, name_in(signal_names, v), v);
    case 'G':
        return add_bits(l, static_cast<u32>(v), msg_names, "0");
    case 'e':
        return add_named(l, name_in(epoll_ops, v), v);
    default:
        return add_number(l, v);
    }
}

void add_result(text_line &l, s64 ret)
{
    if (ret < 0 && ret > -4096) {
        auto e = static_cast<u64>(-ret);
        const char *name = e >= 88 ? name_in(net_errno_names, e - 88) : name_in(errno_names, e);
        if (e >= ERESTARTSYS)
            l.add(" = ? ERESTART*");
        else if (name)
            l.add(" = -1 %s", name);
        else
            l.add(" = -1 errno %llu", static_cast<unsigned long long>(e));
    } else if (ret >= 0 && ret < 0x100000) {
        l.add(" = %lld", static_cast<long long>(ret));
    } else {
        l.add(" = %#llx", static_cast<unsigned long long>(ret));
    }
}

// --- Who and what is traced -------------------------------------------------------------------------

/// Everybody (strace=), and of them the calls whose bits are set.
bool everybody;
u64 chosen_calls[NR_SYSCALLS / 64];

bool chosen(u64 nr)
{
    return (everybody || (current()->flags & PF_STRACE)) && (chosen_calls[nr / 64] >> nr % 64 & 1);
}

void choose_all_calls()
{
    memset(chosen_calls, 0xff, sizeof chosen_calls);
}

/// A list of call names with commas or blanks. False: one of them is no call.
bool choose_calls(const char *s)
{
    u64 want[NR_SYSCALLS / 64] = {};
    while (*s) {
        size_t n = 0;
        while (s[n] && s[n] != ',' && s[n] != ' ' && s[n] != '\n')
            n++;
        bool found = !n;
        for (unsigned i = 0; i < NR_SYSCALLS && n; i++) {
            const char *name = syscall_table.entry[i].name;
            if (name && strlen(name) == n && !memcmp(name, s, n)) {
                want[i / 64] |= u64{1} << i % 64;
                found = true;
            }
        }
        if (!found)
            return false;
        s += n + (s[n] ? 1 : 0);
    }
    memcpy(chosen_calls, want, sizeof want);
    return true;
}

void strace_show(seq_file *m)
{
    seq_printf(m, "everybody=%d\n", everybody);
    for (unsigned i = 0; i < NR_SYSCALLS; i++)
        if (syscall_table.entry[i].name && (chosen_calls[i / 64] >> i % 64 & 1))
            seq_printf(m, "%s\n", syscall_table.entry[i].name);
}

/// Switch one process's tracing: what it starts from then on inherits it. -ESRCH.
int strace_pid(int pid, bool on)
{
    task_struct *t = find_get_task(pid);
    if (!t)
        return -ESRCH;
    if (on)
        __atomic_fetch_or(&t->flags, PF_STRACE, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&t->flags, ~PF_STRACE, __ATOMIC_RELAXED);
    put_task(t);
    return 0;
}

/// "all", "none", "PID", "!PID", or "calls NAMES".
int strace_store(char *text, size_t n, void *)
{
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = 0;
    if (!strcmp(text, "all") || !strcmp(text, "none")) {
        everybody = text[0] == 'a';
        watch_syscalls(WATCH_STRACE, everybody);
        return 0;
    }
    if (!strncmp(text, "calls ", 6)) {
        if (!strcmp(text + 6, "all"))
            choose_all_calls();
        else if (!choose_calls(text + 6))
            return -EINVAL;
        return 0;
    }
    bool on = text[0] != '!';
    const char *end;
    u64 pid = strtoul(text + !on, &end, 10);
    if (!*text || *end || pid == 0 || pid > 0x7fffffff)
        return -EINVAL;
    int err = strace_pid(static_cast<int>(pid), on);
    if (!err && on)
        watch_syscalls(WATCH_STRACE, true);
    return err;
}

int strace_init()
{
    char value[256];
    choose_all_calls();
    if (cmdline_get("strace", value, sizeof value)) {
        if (strcmp(value, "all") && strcmp(value, "1") && *value && !choose_calls(value))
            pr_warn("strace=%s: no such system call", value);
        else {
            everybody = true;
            watch_syscalls(WATCH_STRACE, true);
        }
    }
    return debugfs_create("strace", strace_show, nullptr, strace_store);
}
late_initcall(strace_init);

/// Calls that do not come back.
bool never_returns(const char *name)
{
    return !strcmp(name, "exit") || !strcmp(name, "exit_group");
}

/// [gnu::noinline]: the line must not make every system call's stack frame larger.
[[gnu::noinline]] s64 traced_call(u64 nr, pt_regs *regs)
{
    const syscall_entry &e = syscall_table.entry[nr];
    const char *kinds = formats.of[nr].letters;
    u64 args[6] = {};
    unsigned out = 6; // the buffer that the call fills, if any
    text_line l;
    l.add("%s(", e.name);
    for (unsigned i = 0; i < e.nargs; i++)
        args[i] = syscall_arg(regs, i);
    for (unsigned i = 0; i < e.nargs && out == 6; i++) {
        if (kinds[i] == 'r') {
            out = i;
            break;
        }
        l.add(i ? ", " : "");
        add_argument(l, kinds[i], args[i], i + 1 < e.nargs ? args[i + 1] : 0);
    }
    if (never_returns(e.name)) {
        printk(KERN_INFO, "[pid %d] %s) = ?", current()->pid, l.text);
        return e.call(regs);
    }
    s64 ret = e.call(regs);
    for (unsigned i = out; i < e.nargs; i++) {
        l.add(i ? ", " : "");
        if (i == out && ret >= 0)
            add_buffer(l, args[i], static_cast<u64>(ret));
        else
            add_argument(l, i == out ? 'p' : kinds[i], args[i], i + 1 < e.nargs ? args[i + 1] : 0);
    }
    l.add(")");
    add_result(l, ret);
    printk(KERN_INFO, "[pid %d] %s", current()->pid, l.text);
    return ret;
}
} // namespace

s64 strace_syscall(u64 nr, pt_regs *regs)
{
    return chosen(nr) ? traced_call(nr, regs) : syscall_table.entry[nr].call(regs);
}
