// SPDX-License-Identifier: MIT
// struct ifreq and the SIOC… numbers of the Linux ABI. Linux: include/uapi/linux/{if,sockios}.h.
#pragma once

#include "net/uapi.h"

constexpr u32 SIOCGIFNAME = 0x8910, SIOCGIFCONF = 0x8912, SIOCGIFFLAGS = 0x8913,
              SIOCSIFFLAGS = 0x8914, SIOCGIFADDR = 0x8915, SIOCSIFADDR = 0x8916,
              SIOCGIFDSTADDR = 0x8917, SIOCSIFDSTADDR = 0x8918, SIOCGIFBRDADDR = 0x8919,
              SIOCSIFBRDADDR = 0x891a, SIOCGIFNETMASK = 0x891b, SIOCSIFNETMASK = 0x891c,
              SIOCGIFMETRIC = 0x891d, SIOCSIFMETRIC = 0x891e, SIOCGIFMTU = 0x8921,
              SIOCSIFMTU = 0x8922, SIOCSIFHWADDR = 0x8924, SIOCGIFHWADDR = 0x8927,
              SIOCADDMULTI = 0x8931, SIOCDELMULTI = 0x8932, SIOCGIFINDEX = 0x8933,
              SIOCGIFTXQLEN = 0x8942, SIOCSIFTXQLEN = 0x8943, SIOCETHTOOL = 0x8946,
              SIOCGIFMAP = 0x8970;

struct ifmap {
    u64 mem_start, mem_end;
    u16 base_addr;
    u8 irq, dma, port;
};
struct ifreq {
    ifreq() : raw{} {}
    char name[16];
    union {
        sockaddr_in addr;
        u8 hwaddr[16]; // family, then the address
        s16 flags;
        s32 ivalue;
        ifmap map;
        u64 data; // user address
        u8 raw[24];
    };
};
static_assert(sizeof(ifreq) == 40);
