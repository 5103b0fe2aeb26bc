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
/// /proc/net/snmp "Tcp:" behind RtoAlgorithm, RtoMin, RtoMax, MaxConn; CurrEstab stands between EstabResets and InSegs, and is counted
/// up and down.
#define TCP_MIB(X) \
    X(ActiveOpens) X(PassiveOpens) X(AttemptFails) X(EstabResets) X(CurrEstab) X(InSegs) \
    X(OutSegs) X(RetransSegs) X(InErrs) X(OutRsts) X(InCsumErrors)
/// /proc/net/netstat "TcpExt:", 3.10's names in 3.10's order.
#define TCPEXT_MIB(X) \
    X(SyncookiesSent) X(SyncookiesRecv) X(SyncookiesFailed) X(EmbryonicRsts) X(PruneCalled) \
    X(RcvPruned) X(OfoPruned) X(OutOfWindowIcmps) X(LockDroppedIcmps) X(ArpFilter) X(TW) \
    X(TWRecycled) X(TWKilled) X(PAWSPassive) X(PAWSActive) X(PAWSEstab) X(DelayedACKs) \
    X(DelayedACKLocked) X(DelayedACKLost) X(ListenOverflows) X(ListenDrops) X(TCPPrequeued) \
    X(TCPDirectCopyFromBacklog) X(TCPDirectCopyFromPrequeue) X(TCPPrequeueDropped) X(TCPHPHits) \
    X(TCPHPHitsToUser) X(TCPPureAcks) X(TCPHPAcks) X(TCPRenoRecovery) X(TCPSackRecovery) \
    X(TCPSACKReneging) X(TCPFACKReorder) X(TCPSACKReorder) X(TCPRenoReorder) X(TCPTSReorder) \
    X(TCPFullUndo) X(TCPPartialUndo) X(TCPDSACKUndo) X(TCPLossUndo) X(TCPLostRetransmit) \
    X(TCPRenoFailures) X(TCPSackFailures) X(TCPLossFailures) X(TCPFastRetrans) \
    X(TCPForwardRetrans) X(TCPSlowStartRetrans) X(TCPTimeouts) X(TCPLossProbes) \
    X(TCPLossProbeRecovery) X(TCPRenoRecoveryFail) X(TCPSackRecoveryFail) \
    X(TCPSchedulerFailed) X(TCPRcvCollapsed) X(TCPDSACKOldSent) X(TCPDSACKOfoSent) \
    X(TCPDSACKRecv) X(TCPDSACKOfoRecv) X(TCPAbortOnData) X(TCPAbortOnClose) \
    X(TCPAbortOnMemory) X(TCPAbortOnTimeout) X(TCPAbortOnLinger) X(TCPAbortFailed) \
    X(TCPMemoryPressures) X(TCPSACKDiscard) X(TCPDSACKIgnoredOld) X(TCPDSACKIgnoredNoUndo) \
    X(TCPSpuriousRTOs) X(TCPMD5NotFound) X(TCPMD5Unexpected) X(TCPSackShifted) X(TCPSackMerged) \
    X(TCPSackShiftFallback) X(TCPBacklogDrop) X(TCPMinTTLDrop) X(TCPDeferAcceptDrop) \
    X(IPReversePathFilter) X(TCPTimeWaitOverflow) X(TCPReqQFullDoCookies) X(TCPReqQFullDrop) \
    X(TCPRetransFail) X(TCPRcvCoalesce) X(TCPOFOQueue) X(TCPOFODrop) X(TCPOFOMerge) \
    X(TCPChallengeACK) X(TCPSYNChallenge) X(TCPFastOpenActive) X(TCPFastOpenPassive) \
    X(TCPFastOpenPassiveFail) X(TCPFastOpenListenOverflow) X(TCPFastOpenCookieReqd) \
    X(TCPSpuriousRtxHostQueues)
// clang-format on
#define SNMP_ENUM_TCP(n) TCP_MIB_##n,
#define SNMP_ENUM_TCPEXT(n) LINUX_MIB_##n,
#define SNMP_ENUM_IP(n) IPSTATS_MIB_##n,
#define SNMP_ENUM_IPEXT(n) IPEXT_MIB_##n,
#define SNMP_ENUM_ICMP(n) ICMP_MIB_##n,
#define SNMP_ENUM_UDP(n) UDP_MIB_##n,
enum ip_mib : unsigned { IPSTATS_MIB(SNMP_ENUM_IP) IPSTATS_MIB_MAX };
enum ipext_mib : unsigned { IPEXT_MIB(SNMP_ENUM_IPEXT) IPEXT_MIB_MAX };
enum icmp_mib : unsigned { ICMP_MIB(SNMP_ENUM_ICMP) ICMP_MIB_MAX };
enum tcp_mib : unsigned { TCP_MIB(SNMP_ENUM_TCP) TCP_MIB_MAX };
enum linux_mib : unsigned { TCPEXT_MIB(SNMP_ENUM_TCPEXT) LINUX_MIB_MAX };
enum udp_mib : unsigned { UDP_MIB(SNMP_ENUM_UDP) UDP_MIB_MAX };

/// One CPU's counters.
struct net_mibs {
    u64 ip[IPSTATS_MIB_MAX], ipext[IPEXT_MIB_MAX], icmp[ICMP_MIB_MAX], udp[UDP_MIB_MAX];
    u64 icmp_in_type[256], icmp_out_type[256];
    u64 tcp[TCP_MIB_MAX], tcpext[LINUX_MIB_MAX];
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
inline void TCP_INC_STATS(tcp_mib f)
{
    net_mib->tcp[f]++;
}
inline void TCP_DEC_STATS(tcp_mib f)
{
    net_mib->tcp[f]--;
}
inline void TCP_ADD_STATS(tcp_mib f, u64 n)
{
    net_mib->tcp[f] += n;
}
inline void NET_INC_STATS(linux_mib f)
{
    net_mib->tcpext[f]++;
}
inline void NET_ADD_STATS(linux_mib f, u64 n)
{
    net_mib->tcpext[f] += n;
}
