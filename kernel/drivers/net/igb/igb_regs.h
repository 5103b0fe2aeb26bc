// SPDX-License-Identifier: MIT
// The 82576's registers and descriptors that this driver uses: the one table (docs/igb-device.md B, C, D). Offsets in BAR0; all registers
// are 32 bits, little-endian. An access kind that the register does not have does not compile.
#pragma once

#include "lib/io.h"

enum class access { rw, ro, wo, rc /* read clears */ };

/// A single register.
template <u32 Offset, access Access = access::rw>
struct reg {
};
/// Register i of a row.
template <u32 Offset, u32 Stride, access Access = access::rw>
struct reg_array {
};

/// The mapped register file.
class igb_regs
{
public:
    explicit igb_regs(volatile u8 *base = nullptr) : base_{base} {}

    template <u32 O, access A>
    u32 read(reg<O, A>) const
    {
        static_assert(A != access::wo);
        return readl(base_ + O);
    }
    template <u32 O, access A>
    void write(reg<O, A>, u32 v) const
    {
        static_assert(A == access::rw || A == access::wo);
        writel(v, base_ + O);
    }
    template <u32 O, u32 S, access A>
    u32 read(reg_array<O, S, A>, unsigned i) const
    {
        static_assert(A != access::wo);
        return readl(base_ + O + S * i);
    }
    template <u32 O, u32 S, access A>
    void write(reg_array<O, S, A>, unsigned i, u32 v) const
    {
        static_assert(A == access::rw || A == access::wo);
        writel(v, base_ + O + S * i);
    }
    template <class R>
    void set_bits(R r, u32 bits) const
    {
        write(r, read(r) | bits);
    }
    template <class R>
    void clear_bits(R r, u32 bits) const
    {
        write(r, read(r) & ~bits);
    }
    /// Address of a register that is written on the hot path (tails).
    template <u32 O, u32 S, access A>
    volatile void *address(reg_array<O, S, A>, unsigned i) const
    {
        return base_ + O + S * i;
    }
    /// Any register by offset: statistics tables.
    u32 read_offset(u32 offset) const { return readl(base_ + offset); }

private:
    volatile u8 *base_;
};

// --- Device -------------------------------------------------------------------------------------
inline constexpr reg<0x00000> CTRL;
constexpr u32 CTRL_GIO_MASTER_DISABLE = 1u << 2, CTRL_SLU = 1u << 6, CTRL_FRCSPD = 1u << 11,
              CTRL_FRCDPX = 1u << 12, CTRL_RST = 1u << 26, CTRL_VME = 1u << 30;
inline constexpr reg<0x00008, access::ro> STATUS;
constexpr u32 STATUS_FD = 1, STATUS_LU = 2, STATUS_SPEED_100 = 0x40, STATUS_SPEED_1000 = 0x80;
inline constexpr reg<0x00018> CTRL_EXT;
constexpr u32 CTRL_EXT_DRV_LOAD = 1u << 28;
inline constexpr reg<0x00020> MDIC;
constexpr u32 MDIC_OP_WRITE = 1u << 26, MDIC_OP_READ = 2u << 26, MDIC_READY = 1u << 28,
              MDIC_ERROR = 1u << 30;
constexpr u32 MDIC_PHY_ADDRESS = 1;
constexpr u16 BMCR_RESTART_AN = 0x0200, BMCR_ENABLE_AN = 0x1000, BMCR_FULL_1000 = 0x0140;

// --- Interrupts ---------------------------------------------------------------------------------
inline constexpr reg<0x000c0, access::rc> ICR;
inline constexpr reg<0x000d0> IMS;
inline constexpr reg<0x000d8> IMC;
constexpr u32 ICR_LSC = 1u << 2;
inline constexpr reg<0x01514> GPIE;
constexpr u32 GPIE_NSICR = 1, GPIE_MSIX_MODE = 1u << 4, GPIE_EIAME = 1u << 30, GPIE_PBA = 1u << 31;
inline constexpr reg<0x01520, access::wo> EICS;
inline constexpr reg<0x01524> EIMS;
inline constexpr reg<0x01528, access::wo> EIMC;
inline constexpr reg<0x0152c> EIAC;
inline constexpr reg<0x01530> EIAM;
inline constexpr reg<0x01580, access::rc> EICR;
inline constexpr reg_array<0x01680, 4> EITR;
constexpr u32 EITR_CNT_IGNR = 1u << 31;
inline constexpr reg_array<0x01700, 4> IVAR;
inline constexpr reg<0x01740> IVAR_MISC;
constexpr u32 IVAR_VALID = 0x80;

// --- Receive ------------------------------------------------------------------------------------
inline constexpr reg<0x00100> RCTL;
constexpr u32 RCTL_EN = 1u << 1, RCTL_UPE = 1u << 3, RCTL_MPE = 1u << 4, RCTL_LPE = 1u << 5,
              RCTL_BAM = 1u << 15, RCTL_SECRC = 1u << 26;
inline constexpr reg<0x05004> RLPML;
inline constexpr reg<0x05000> RXCSUM;
constexpr u32 RXCSUM_IPOFL = 1u << 8, RXCSUM_TUOFL = 1u << 9, RXCSUM_PCSD = 1u << 13;
inline constexpr reg_array<0x0c000, 0x40> RDBAL;
inline constexpr reg_array<0x0c004, 0x40> RDBAH;
inline constexpr reg_array<0x0c008, 0x40> RDLEN;
inline constexpr reg_array<0x0c00c, 0x40> SRRCTL;
constexpr u32 SRRCTL_BSIZEPKT_2K = 2, SRRCTL_DESCTYPE_ADV_ONEBUF = 1u << 25,
              SRRCTL_DROP_EN = 1u << 31;
inline constexpr reg_array<0x0c010, 0x40> RDH;
inline constexpr reg_array<0x0c018, 0x40> RDT;
inline constexpr reg_array<0x0c028, 0x40> RXDCTL;
constexpr u32 XDCTL_QUEUE_ENABLE = 1u << 25;
inline constexpr reg_array<0x0c030, 0x40> RQDPC;
inline constexpr reg_array<0x05400, 8> RAL;
inline constexpr reg_array<0x05404, 8> RAH;
constexpr u32 RAH_AV = 1u << 31, RAH_POOL_1 = 1u << 18;
inline constexpr reg_array<0x05200, 4> MTA;
inline constexpr reg<0x05818> MRQC;
constexpr u32 MRQC_ENABLE_RSS_4Q = 2, MRQC_RSS_IPV4_TCP = 1u << 16, MRQC_RSS_IPV4 = 1u << 17;
inline constexpr reg_array<0x05c00, 4> RETA;
inline constexpr reg_array<0x05c80, 4> RSSRK;

// --- Transmit -----------------------------------------------------------------------------------
inline constexpr reg<0x00400> TCTL;
constexpr u32 TCTL_EN = 1u << 1, TCTL_PSP = 1u << 3;
inline constexpr reg_array<0x0e000, 0x40> TDBAL;
inline constexpr reg_array<0x0e004, 0x40> TDBAH;
inline constexpr reg_array<0x0e008, 0x40> TDLEN;
inline constexpr reg_array<0x0e010, 0x40> TDH;
inline constexpr reg_array<0x0e018, 0x40> TDT;
inline constexpr reg_array<0x0e028, 0x40> TXDCTL;

// --- Statistics: all clear on read --------------------------------------------------------------
inline constexpr reg<0x04000, access::rc> CRCERRS;
inline constexpr reg<0x04010, access::rc> MPC;
inline constexpr reg<0x04074, access::rc> GPRC;
inline constexpr reg<0x04078, access::rc> BPRC;
inline constexpr reg<0x0407c, access::rc> MPRC;
inline constexpr reg<0x04080, access::rc> GPTC;
inline constexpr reg<0x04088, access::ro> GORCL;
inline constexpr reg<0x0408c, access::rc> GORCH; // reading the high half clears both
inline constexpr reg<0x04090, access::ro> GOTCL;
inline constexpr reg<0x04094, access::rc> GOTCH;
inline constexpr reg<0x040a0, access::rc> RNBC;
inline constexpr reg<0x040a4, access::rc> RUC;
inline constexpr reg<0x040a8, access::rc> RFC;
inline constexpr reg<0x040ac, access::rc> ROC;
inline constexpr reg<0x040f0, access::rc> MPTC;
inline constexpr reg<0x040f4, access::rc> BPTC;

// --- Descriptors: 16 bytes, little-endian -------------------------------------------------------
/// Advanced receive descriptor: what software posts, and what the device writes over it.
union e1000_adv_rx_desc {
    struct {
        u64 pkt_addr;
        u64 hdr_addr;
    } read;
    struct {
        u16 pkt_info, hdr_info;
        u32 rss;
        u32 status_error;
        u16 length;
        u16 vlan;
    } wb;
};
static_assert(sizeof(e1000_adv_rx_desc) == 16);
constexpr u32 RXD_STAT_DD = 1, RXD_STAT_EOP = 2, RXD_STAT_IXSM = 4, RXD_STAT_VP = 8,
              RXD_STAT_UDPCS = 0x10, RXD_STAT_TCPCS = 0x20, RXDEXT_STATERR_CE = 1u << 24,
              RXDEXT_STATERR_SE = 1u << 25, RXDEXT_STATERR_TCPE = 1u << 29,
              RXDEXT_STATERR_IPE = 1u << 30, RXDEXT_STATERR_RXE = 1u << 31;
constexpr u16 RXD_PKTINFO_RSSTYPE = 0xf;

/// Advanced transmit descriptor: data, write-back, and context.
union e1000_adv_tx_desc {
    struct {
        u64 buffer_addr;
        u32 cmd_type_len;
        u32 olinfo_status;
    } read;
    struct {
        u64 rsvd;
        u32 nxtseq_seed;
        u32 status;
    } wb;
    struct {
        u32 vlan_macip_lens;
        u32 seqnum_seed;
        u32 type_tucmd_mlhl;
        u32 mss_l4len_idx;
    } ctx;
};
static_assert(sizeof(e1000_adv_tx_desc) == 16);
constexpr u32 TXD_DTYP_CTXT = 2u << 20, TXD_DTYP_DATA = 3u << 20, TXD_DCMD_EOP = 1u << 24,
              TXD_DCMD_IFCS = 1u << 25, TXD_DCMD_RS = 1u << 27, TXD_DCMD_DEXT = 1u << 29,
              TXD_STAT_DD = 1, TXD_POPTS_TXSM = 1u << 9, TXD_PAYLEN_SHIFT = 14,
              TXD_MACLEN_SHIFT = 9, TXD_TUCMD_IPV4 = 1u << 10, TXD_TUCMD_L4T_TCP = 1u << 11,
              TXD_L4LEN_SHIFT = 8, TXD_MSS_SHIFT = 16, TXD_DCMD_TSE = 1u << 31,
              TXD_POPTS_IXSM = 1u << 8;
