# SPDX-License-Identifier: MIT
"""/proc/sys/net/core and /proc/sys/net/ipv4: which settings there are, and that their defaults are Linux 3.10's."""

import pytest

CORE = {
    "dev_weight": "64", "netdev_budget": "300", "netdev_max_backlog": "1000", "optmem_max": "20480", "rmem_default": "212992", "rmem_max": "212992",
    "somaxconn": "128", "wmem_default": "212992", "wmem_max": "212992",
}
IPV4 = {
    "icmp_echo_ignore_all": "0", "icmp_echo_ignore_broadcasts": "1", "icmp_ignore_bogus_error_responses": "1",
    "icmp_ratelimit": "1000", "icmp_ratemask": "6168", "ip_default_ttl": "64", "ip_early_demux": "1", "ip_forward": "0",
    "ip_local_port_range": "32768 61000", "ip_local_reserved_ports": "", "ip_no_pmtu_disc": "0", "ip_nonlocal_bind": "0",
    "ipfrag_high_thresh": "4194304",
    "ipfrag_low_thresh": "3145728", "ipfrag_time": "30", "ping_group_range": "1 0", "tcp_abort_on_overflow": "0",
    "tcp_adv_win_scale": "1", "tcp_allowed_congestion_control": "cubic reno", "tcp_app_win": "31",
    "tcp_available_congestion_control": "cubic reno", "tcp_base_mss": "512", "tcp_challenge_ack_limit": "100",
    "tcp_congestion_control": "cubic", "tcp_dsack": "1", "tcp_early_retrans": "3", "tcp_ecn": "2", "tcp_fack": "1",
    "tcp_fin_timeout": "60", "tcp_frto": "2", "tcp_keepalive_intvl": "75", "tcp_keepalive_probes": "9",
    "tcp_keepalive_time": "7200", "tcp_limit_output_bytes": "131072", "tcp_low_latency": "0", "tcp_max_ssthresh": "0",
    "tcp_moderate_rcvbuf": "1", "tcp_mtu_probing": "0", "tcp_no_metrics_save": "0", "tcp_orphan_retries": "0",
    "tcp_reordering": "3", "tcp_retrans_collapse": "1", "tcp_retries1": "3", "tcp_retries2": "15", "tcp_rfc1337": "0",
    "tcp_sack": "1", "tcp_slow_start_after_idle": "1", "tcp_stdurg": "0", "tcp_syn_retries": "6", "tcp_synack_retries": "5",
    "tcp_syncookies": "1", "tcp_thin_linear_timeouts": "0", "tcp_timestamps": "1", "tcp_tso_win_divisor": "3",
    "tcp_tw_recycle": "0", "tcp_tw_reuse": "0", "tcp_window_scaling": "1", "tcp_workaround_signed_windows": "0",
}
# These follow the memory.
SIZED = {"tcp_max_orphans", "tcp_max_syn_backlog", "tcp_max_tw_buckets", "tcp_mem", "tcp_rmem", "tcp_wmem"}


@pytest.fixture(scope="module")
def settings(guests):
    """Of a guest in which nobody has changed any: {"core": {name: value}, "ipv4": …}."""
    guest = guests.boot(smp=1)
    try:
        found = {}
        for part in ("core", "ipv4"):
            directory = f"/proc/sys/net/{part}"
            names = [name for name in guest.sh(f"busybox ls -p {directory}").split() if not name.endswith("/")]
            found[part] = {name: " ".join(guest.cat(f"{directory}/{name}").split()) for name in names}
        return found
    finally:
        guest.close()


@pytest.mark.row("B-01")
def test_defaults_are_those_of_3_10(settings):
    """Every setting that there is, with 3.10's value."""
    assert settings["core"] == CORE
    assert {name: value for name, value in settings["ipv4"].items() if name not in SIZED} == IPV4


@pytest.mark.row("B-01")
def test_limits_that_follow_the_memory(settings):
    """As tcp_init() of 3.10 computes them from the size of the table of connections and from the memory."""
    ipv4 = {name: [int(word) for word in settings["ipv4"][name].split()] for name in SIZED}
    [half] = ipv4["tcp_max_tw_buckets"]
    assert ipv4["tcp_max_orphans"] == [half] and ipv4["tcp_max_syn_backlog"] == [max(128, 2 * half // 256)]
    low, pressure, high = ipv4["tcp_mem"]
    assert low == pressure // 4 * 3 and high == 2 * low
    for name, default, least, most in (("tcp_rmem", 87380, 87380, 6 << 20), ("tcp_wmem", 16384, 65536, 4 << 20)):
        assert ipv4[name][:2] == [4096, default] and least <= ipv4[name][2] <= most
