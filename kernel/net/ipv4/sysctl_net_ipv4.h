// SPDX-License-Identifier: MIT
// Views of IPv4 that other files of this folder publish. Linux: net/ipv4/sysctl_net_ipv4.c.
#pragma once

struct seq_file;

/// /proc/sys/net/ipv4/{ip_forward,ip_default_ttl,ipfrag_*,neigh/…}. Boot.
void sysctl_net_ipv4_init();
/// /proc/sys/net/ipv4/icmp_*.
void sysctl_icmp_init();
void inet_protos_show(seq_file *m);
