// SPDX-License-Identifier: MIT
// What CPUID says about the processors, as /proc/cpuinfo shows it. Linux: arch/x86/kernel/cpu/proc.c, cpufeature flags' names as there.
// Any context; the CPUs of a machine are alike, so the current one answers for all.
#include "internal.h"
#include "lib/printk.h"
#include "lib/string.h"

namespace
{
/// One CPUID register and the names of its bits, from bit 0 on; "" for those without a name.
struct feature_word {
    u32 leaf, sub;
    u32 cpuid_regs::*reg;
    const char *names[32];
};

const feature_word feature_words[] = {
    {1, 0, &cpuid_regs::d, {"fpu",  "vme",   "de",   "pse",     "tsc",  "msr", "pae",  "mce",
                            "cx8",  "apic",  "",     "sep",     "mtrr", "pge", "mca",  "cmov",
                            "pat",  "pse36", "pn",   "clflush", "",     "dts", "acpi", "mmx",
                            "fxsr", "sse",   "sse2", "ss",      "ht",   "tm",  "ia64", "pbe"}},
    {0x80000001,
     0,
     &cpuid_regs::d,
     {"",        "", "", "",         "",        "",       "", "",   "",         "",     "",
      "syscall", "", "", "",         "",        "",       "", "",   "mp",       "nx",   "",
      "mmxext",  "", "", "fxsr_opt", "pdpe1gb", "rdtscp", "", "lm", "3dnowext", "3dnow"}},
    {1, 0, &cpuid_regs::c, {"pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
                            "vmx",    "smx",       "est",    "tm2",     "ssse3",
                            "cid",    "",          "fma",    "cx16",    "xtpr",
                            "pdcm",   "",          "pcid",   "dca",     "sse4_1",
                            "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
                            "aes",    "xsave",     "",       "avx",     "f16c",
                            "rdrand", "hypervisor"}},
    {0x80000001, 0, &cpuid_regs::c, {"lahf_lm",   "cmp_legacy",  "svm",
                                     "extapic",   "cr8_legacy",  "abm",
                                     "sse4a",     "misalignsse", "3dnowprefetch",
                                     "osvw",      "ibs",         "xop",
                                     "skinit",    "wdt",         "",
                                     "lwp",       "fma4",        "tce",
                                     "",          "nodeid_msr",  "",
                                     "tbm",       "topoext",     "perfctr_core",
                                     "perfctr_nb"}},
    {7, 0, &cpuid_regs::b, {"fsgsbase", "tsc_adjust", "",     "bmi1",    "hle",    "avx2", "",
                            "smep",     "bmi2",       "erms", "invpcid", "rtm",    "",     "",
                            "",         "",           "",     "",        "rdseed", "adx",  "smap"}},
};

void flags_text(char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (const feature_word &w : feature_words) {
        if (!cpuid_has_leaf(w.leaf))
            continue;
        u32 bits = cpuid(w.leaf, w.sub).*w.reg;
        for (unsigned i = 0; i < 32 && n < size; i++)
            if (bits >> i & 1 && w.names[i] && *w.names[i])
                n += static_cast<size_t>(
                    snprintf(out + n, size - n, "%s%s", n ? " " : "", w.names[i]));
    }
}

void model_name(char out[49])
{
    memset(out, 0, 49);
    if (!cpuid_has_leaf(0x80000004)) {
        strlcpy(out, "unknown", 49);
        return;
    }
    for (u32 i = 0; i < 3; i++) {
        cpuid_regs r = cpuid(0x80000002 + i);
        memcpy(out + 16 * i, &r, 16);
    }
    while (*out == ' ')
        memmove(out, out + 1, 48);
}

struct printer {
    void (*row)(void *arg, const char *name, const char *value);
    void *arg;

    __attribute__((format(printf, 3, 4))) void line(const char *name, const char *fmt, ...) const
    {
        char text[64];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        row(arg, name, text);
    }
};

/// Kilobytes of the largest cache, by leaf 4 or, on AMD's, leaf 0x80000006.
u32 cache_kb()
{
    u32 best = 0;
    for (u32 i = 0; cpuid_has_leaf(4) && i < 8; i++) {
        cpuid_regs r = cpuid(4, i);
        if (!(r.a & 31))
            break;
        u64 bytes =
            u64{(r.b >> 22) + 1} * ((r.b >> 12 & 0x3ff) + 1) * ((r.b & 0xfff) + 1) * (u64{r.c} + 1);
        best = max(best, static_cast<u32>(bytes >> 10));
    }
    if (!best && cpuid_has_leaf(0x80000006))
        best = cpuid(0x80000006).c >> 16;
    return best;
}
} // namespace

void arch_describe_cpu(unsigned cpu, void (*row)(void *, const char *, const char *), void *arg)
{
    printer p{row, arg};
    cpuid_regs l0 = cpuid(0), l1 = cpuid(1);
    char vendor[13] = {}, name[49];
    memcpy(vendor, &l0.b, 4);
    memcpy(vendor + 4, &l0.d, 4);
    memcpy(vendor + 8, &l0.c, 4);
    model_name(name);
    u32 family = l1.a >> 8 & 15, model = l1.a >> 4 & 15;
    if (family == 6 || family == 15)
        model |= (l1.a >> 16 & 15) << 4;
    if (family == 15)
        family += l1.a >> 20 & 255;
    unsigned id = x86_cpus[cpu].apic_id;
    p.line("processor\t", "%u", cpu);
    p.line("vendor_id\t", "%s", vendor);
    p.line("cpu family\t", "%u", family);
    p.line("model\t\t", "%u", model);
    p.line("model name\t", "%s", name);
    p.line("stepping\t", "%u", l1.a & 15);
    p.line("cpu MHz\t\t", "%llu.%03llu", static_cast<unsigned long long>(tsc_khz / 1000),
           static_cast<unsigned long long>(tsc_khz % 1000));
    p.line("cache size\t", "%u KB", cache_kb());
    // QEMU's -smp N makes sockets or cores as it likes; the scheduler takes each CPU for a core of one package.
    p.line("physical id\t", "%u", 0u);
    p.line("siblings\t", "%u", num_online_cpus());
    p.line("core id\t\t", "%u", cpu);
    p.line("cpu cores\t", "%u", num_online_cpus());
    p.line("apicid\t\t", "%u", id);
    p.line("initial apicid\t", "%u", id);
    p.line("fpu\t\t", "yes");
    p.line("fpu_exception\t", "yes");
    p.line("cpuid level\t", "%u", l0.a);
    p.line("wp\t\t", "yes");
    char flags[1024];
    flags_text(flags, sizeof flags);
    row(arg, "flags\t\t", flags);
    // two loops of the delay calibration a tick and MHz: what Linux prints when it knows the TSC's frequency
    p.line("bogomips\t", "%llu.%02llu", static_cast<unsigned long long>(tsc_khz / 500),
           static_cast<unsigned long long>(tsc_khz / 5 % 100));
    p.line("clflush size\t", "%u", (l1.b >> 8 & 255) * 8);
    p.line("cache_alignment\t", "%u", (l1.b >> 8 & 255) * 8);
    u32 sizes = cpuid_has_leaf(0x80000008) ? cpuid(0x80000008).a : 0x2420;
    p.line("address sizes\t", "%u bits physical, %u bits virtual", sizes & 255, sizes >> 8 & 255);
    p.line("power management", "%s", "");
}
