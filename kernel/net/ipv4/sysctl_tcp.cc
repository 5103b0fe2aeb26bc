// SPDX-License-Identifier: MIT
// TCP's settings: the variables, and /proc/sys/net/ipv4/tcp_* with 3.10's names, defaults and limits (atlas §1). What depends on
// the memory size is set by tcp_init(). Linux: net/ipv4/sysctl_net_ipv4.c. Readers need no lock.

#include "fs/seq_file.h"
#include "lib/string.h"
#include "net/ipv4/tcp.h"

int sysctl_tcp_timestamps = 1, sysctl_tcp_window_scaling = 1, sysctl_tcp_sack = 1,
    sysctl_tcp_dsack = 1, sysctl_tcp_fack = 1, sysctl_tcp_ecn = 2, sysctl_tcp_syn_retries = 6,
    sysctl_tcp_synack_retries = 5, sysctl_tcp_keepalive_time = 7200,
    sysctl_tcp_keepalive_intvl = 75, sysctl_tcp_keepalive_probes = 9, sysctl_tcp_retries1 = 3,
    sysctl_tcp_retries2 = 15, sysctl_tcp_orphan_retries = 0, sysctl_tcp_fin_timeout = 60,
    sysctl_tcp_syncookies = 1, sysctl_tcp_max_syn_backlog = 256, sysctl_tcp_abort_on_overflow = 0,
    sysctl_tcp_max_orphans = 4096, sysctl_tcp_max_tw_buckets = 4096, sysctl_tcp_tw_reuse = 0,
    sysctl_tcp_tw_recycle = 0, sysctl_tcp_rfc1337 = 0, sysctl_tcp_stdurg = 0,
    sysctl_tcp_low_latency = 0, sysctl_tcp_reordering = 3, sysctl_tcp_app_win = 31,
    sysctl_tcp_adv_win_scale = 1, sysctl_tcp_moderate_rcvbuf = 1, sysctl_tcp_tso_win_divisor = 3,
    sysctl_tcp_early_retrans = 3, sysctl_tcp_frto = 2, sysctl_tcp_slow_start_after_idle = 1,
    sysctl_tcp_workaround_signed_windows = 0, sysctl_tcp_limit_output_bytes = 131072,
    sysctl_tcp_challenge_ack_limit = 100, sysctl_tcp_no_metrics_save = 0, sysctl_tcp_base_mss = 512,
    sysctl_tcp_mtu_probing = 0, sysctl_tcp_thin_linear_timeouts = 0, sysctl_tcp_max_ssthresh = 0,
    sysctl_tcp_retrans_collapse = 1;
int sysctl_tcp_rmem[3] = {4096, 87380, 6 << 20}, sysctl_tcp_wmem[3] = {4096, 16384, 4 << 20};
s64 sysctl_tcp_mem[3];
std::atomic<s64> tcp_memory_allocated;
std::atomic<int> tcp_memory_pressure, tcp_orphan_count, tcp_sockets_allocated;

static void tcp_mem_show(seq_file *m)
{
    seq_printf(m, "%ld\t%ld\t%ld\n", sysctl_tcp_mem[0], sysctl_tcp_mem[1], sysctl_tcp_mem[2]);
}

/// Three page counts; fewer numbers set the first ones, as Linux's vectors do.
static int tcp_mem_store(char *text, size_t, void *)
{
    s64 v[3] = {sysctl_tcp_mem[0], sysctl_tcp_mem[1], sysctl_tcp_mem[2]};
    const char *s = text;
    for (s64 &x : v) {
        while (*s == ' ' || *s == '\t' || *s == '\n')
            s++;
        if (!*s)
            break;
        const char *end;
        u64 n = strtoul(s, &end, 10);
        if (end == s || n > u64{INT64_MAX} / PAGE_SIZE)
            return -EINVAL;
        x = static_cast<s64>(n);
        s = end;
    }
    for (int i = 0; i < 3; i++)
        write_once(sysctl_tcp_mem[i], v[i]);
    return 0;
}

void sysctl_tcp_init()
{
    constexpr int most = INT32_MAX;
    static const struct {
        const char *name;
        int *value;
        int lo, hi;
    } files[] = {
        {"tcp_timestamps", &sysctl_tcp_timestamps, 0, most},
        {"tcp_window_scaling", &sysctl_tcp_window_scaling, 0, most},
        {"tcp_sack", &sysctl_tcp_sack, 0, most},
        {"tcp_dsack", &sysctl_tcp_dsack, 0, most},
        {"tcp_fack", &sysctl_tcp_fack, 0, most},
        {"tcp_ecn", &sysctl_tcp_ecn, 0, most},
        {"tcp_syn_retries", &sysctl_tcp_syn_retries, 1, 127},
        {"tcp_synack_retries", &sysctl_tcp_synack_retries, 0, 254},
        {"tcp_keepalive_time", &sysctl_tcp_keepalive_time, 1, most / 1000},
        {"tcp_keepalive_intvl", &sysctl_tcp_keepalive_intvl, 1, most / 1000},
        {"tcp_keepalive_probes", &sysctl_tcp_keepalive_probes, 0, 255},
        {"tcp_retries1", &sysctl_tcp_retries1, 0, 255},
        {"tcp_retries2", &sysctl_tcp_retries2, 0, 255},
        {"tcp_orphan_retries", &sysctl_tcp_orphan_retries, 0, 255},
        {"tcp_fin_timeout", &sysctl_tcp_fin_timeout, 0, most / 1000},
        {"tcp_syncookies", &sysctl_tcp_syncookies, 0, most},
        {"tcp_max_syn_backlog", &sysctl_tcp_max_syn_backlog, 0, most},
        {"tcp_abort_on_overflow", &sysctl_tcp_abort_on_overflow, 0, most},
        {"tcp_max_orphans", &sysctl_tcp_max_orphans, 0, most},
        {"tcp_max_tw_buckets", &sysctl_tcp_max_tw_buckets, 0, most},
        {"tcp_tw_reuse", &sysctl_tcp_tw_reuse, 0, most},
        {"tcp_tw_recycle", &sysctl_tcp_tw_recycle, 0, most},
        {"tcp_rfc1337", &sysctl_tcp_rfc1337, 0, most},
        {"tcp_stdurg", &sysctl_tcp_stdurg, 0, most},
        {"tcp_low_latency", &sysctl_tcp_low_latency, 0, most},
        {"tcp_reordering", &sysctl_tcp_reordering, 1, 127},
        {"tcp_app_win", &sysctl_tcp_app_win, 0, 31},
        {"tcp_adv_win_scale", &sysctl_tcp_adv_win_scale, -31, 31},
        {"tcp_moderate_rcvbuf", &sysctl_tcp_moderate_rcvbuf, 0, most},
        {"tcp_tso_win_divisor", &sysctl_tcp_tso_win_divisor, 0, most},
        {"tcp_early_retrans", &sysctl_tcp_early_retrans, 0, 4},
        {"tcp_frto", &sysctl_tcp_frto, 0, 2},
        {"tcp_slow_start_after_idle", &sysctl_tcp_slow_start_after_idle, 0, most},
        {"tcp_workaround_signed_windows", &sysctl_tcp_workaround_signed_windows, 0, most},
        {"tcp_limit_output_bytes", &sysctl_tcp_limit_output_bytes, 0, most},
        {"tcp_challenge_ack_limit", &sysctl_tcp_challenge_ack_limit, 0, most},
        {"tcp_no_metrics_save", &sysctl_tcp_no_metrics_save, 0, most},
        {"tcp_base_mss", &sysctl_tcp_base_mss, 0, 65535},
        {"tcp_mtu_probing", &sysctl_tcp_mtu_probing, 0, 2},
        {"tcp_thin_linear_timeouts", &sysctl_tcp_thin_linear_timeouts, 0, 1},
        {"tcp_max_ssthresh", &sysctl_tcp_max_ssthresh, 0, most},
        {"tcp_retrans_collapse", &sysctl_tcp_retrans_collapse, 0, most},
    };
    char path[64];
    for (const auto &f : files) {
        snprintf(path, sizeof path, "net/ipv4/%s", f.name);
        sysctl_create_int(path, f.value, f.lo, f.hi);
    }
    sysctl_create_ints("net/ipv4/tcp_rmem", sysctl_tcp_rmem, 3, 1, most);
    sysctl_create_ints("net/ipv4/tcp_wmem", sysctl_tcp_wmem, 3, 1, most);
    tcp_cong_sysctl_init();
    proc_create("sys/net/ipv4/tcp_mem", tcp_mem_show, nullptr, tcp_mem_store);
}
