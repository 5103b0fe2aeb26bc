// SPDX-License-Identifier: MIT
// MIB counters under Linux's names, per CPU, shown by /proc/net/snmp and netstat (atlas §25). Any
// context.
#pragma once

#include "lib/percpu.h"

// (clang-format pulls X-macro lists apart.)
// clang-format off
/// Names as printed. IP: /proc/net/snmp "Ip:" in this order after Forwarding and DefaultTTL.
#define IPSTATS_MIB(X) \
    X(InReceives) X(InHdrErrors) X(InAddrErrors) X(ForwDatagrams) X(InUnknownProtos) \
    X(InDiscards) X(InDelivers) X(OutRequests) X(OutDiscards) X(OutNoRoutes) X(ReasmTimeout) \
    X(ReasmReqds) X(ReasmOKs) X(ReasmFails) X(FragOKs) X(FragFails) X(FragCreates)
/// /proc/net/netstat "IpExt:".
#define IPEXT_MIB(X) \
    X(InNoRoutes) X(InTruncatedPkts) X(InMcastPkts) X(OutMcastPkts) X(InBcastPkts) \
    X(OutBcastPkts) X(InOctets) X(OutOctets) X(InMcastOctets) X(OutMcastOctets) \
    X(InBcastOctets) X(OutBcastOctets) X(InCsumErrors)
/// /proc/net/snmp "Icmp:".
#define ICMP_MIB(X) \
    X(InMsgs) X(InErrors) X(InCsumErrors) X(InDestUnreachs) X(InTimeExcds) X(InParmProbs) \
    X(InSrcQuenchs) X(InRedirects) X(InEchos) X(InEchoReps) X(InTimestamps) \
    X(InTimestampReps) X(InAddrMasks) X(InAddrMaskReps) X(OutMsgs) X(OutErrors) \
    X(OutDestUnreachs) X(OutTimeExcds) X(OutParmProbs) X(OutSrcQuenchs) X(OutRedirects) \
    X(OutEchos) X(OutEchoReps) X(OutTimestamps) X(OutTimestampReps) X(OutAddrMasks) \
    X(OutAddrMaskReps)
/// /proc/net/snmp "Udp:".
#define UDP_MIB(X) \
    X(InDatagrams) X(NoPorts) X(InErrors) X(OutDatagrams) X(RcvbufErrors) X(SndbufErrors) \
    X(InCsumErrors)
// clang-format on
#define SNMP_ENUM_IP(n) IPSTATS_MIB_##n,
#define SNMP_ENUM_IPEXT(n) IPEXT_MIB_##n,
#define SNMP_ENUM_ICMP(n) ICMP_MIB_##n,
#define SNMP_ENUM_UDP(n) UDP_MIB_##n,
enum ip_mib : unsigned { IPSTATS_MIB(SNMP_ENUM_IP) IPSTATS_MIB_MAX };
enum ipext_mib : unsigned { IPEXT_MIB(SNMP_ENUM_IPEXT) IPEXT_MIB_MAX };
enum icmp_mib : unsigned { ICMP_MIB(SNMP_ENUM_ICMP) ICMP_MIB_MAX };
enum udp_mib : unsigned { UDP_MIB(SNMP_ENUM_UDP) UDP_MIB_MAX };

/// One CPU's counters.
struct net_mibs {
    u64 ip[IPSTATS_MIB_MAX], ipext[IPEXT_MIB_MAX], icmp[ICMP_MIB_MAX], udp[UDP_MIB_MAX];
    u64 icmp_in_type[256], icmp_out_type[256];
    u64 rp_filter; // TcpExt IPReversePathFilter
};
extern percpu<net_mibs> net_mib;
inline void IP_INC_STATS(ip_mib f)
{
    net_mib->ip[f]++;
}
inline void IP_ADD_STATS(ip_mib f, u64 n)
{
    net_mib->ip[f] += n;
}
inline void IPEXT_ADD_STATS(ipext_mib f, u64 n)
{
    net_mib->ipext[f] += n;
}
inline void ICMP_INC_STATS(icmp_mib f)
{
    net_mib->icmp[f]++;
}
inline void UDP_INC_STATS(udp_mib f)
{
    net_mib->udp[f]++;
}
