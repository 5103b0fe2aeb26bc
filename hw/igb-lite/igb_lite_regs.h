/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: the subset of the Intel 82576's programming interface that is implemented: one table of
 * registers, their fields, the descriptors, and the PHY. Offsets, names and reset values are the
 * 82576's.
 */
#ifndef IGB_LITE_REGS_H
#define IGB_LITE_REGS_H

#include "hw/registerfields.h"

#define IGB_LITE_QUEUES 16
#define IGB_LITE_VECTORS 10

/*
 * The one register table. The device dispatches by it, tests/qtest runs over it, and the register
 * table of docs/igb-lite.md is compared with it (tests/qtest/check-datasheet). A row is
 *
 *   R(name, offset, count, step, reset, writable, access, hook)
 *
 * name      the 82576's; A_name is the first instance's offset, R_name the same / 4
 * offset    of the first instance, from the start of BAR0; instance i is at offset + i * step
 * reset     every instance's value after power-on. Different only: RAL[0], RAH[0] (the MAC of the
 *           property and RAH.AV), RXDCTL[0], TXDCTL[0] (ENABLE set too), STATUS.LU
 * writable  which bits writing changes, in the way that access tells; all others keep their value
 * access    RW   reads as written
 *           RWK  the same, and CTRL.RST keeps it (all else goes back to its reset value)
 *           RO   writing is ignored
 *           RC   counter: reading clears it, writing is ignored, it stops at its maximum
 *           RCL  low half of a 64-bit counter; reading leaves it
 *           RCH  high half, the next register; reading clears both
 *           RC1  causes (ICR, EICR): reading clears all, writing clears the ones
 *           W1S  mask (IMS, EIMS): writing sets the ones
 *           W1C  the same mask (IMC, EIMC): writing clears the ones; reads as the mask
 *           WO   writing does something, reads as 0
 *           FN   a protocol of its own: CTRL (RW, but RST resets and reads as 0), EERD, MDIC, SWSM,
 *                SYSTIML, SYSTIMH (a running clock)
 * hook      what reading or writing does beyond that: hook_* in igb_lite_mmio.c
 *
 * What is not here reads as 0, and writing it is ignored. Only aligned 32-bit accesses are valid.
 */
/* clang-format off */
#define IGB_LITE_REGISTERS(R)                                                    \
    /* name       offset  count step  reset       writable    access hook */     \
    R(CTRL,        0x0000,   1,    4, 0x00100209, 0xfbffffff, FN,  ctrl)         \
    R(STATUS,      0x0008,   1,    4, 0x80080481, 0,          RO,  status)       \
    R(EECD,        0x0010,   1,    4, 0x00001310, 0,          RO,  none)         \
    R(EERD,        0x0014,   1,    4, 0,          0,          FN,  eerd)         \
    R(CTRL_EXT,    0x0018,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(MDIC,        0x0020,   1,    4, 0,          0,          FN,  mdic)         \
    R(FCAL,        0x0028,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(FCAH,        0x002c,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(FCT,         0x0030,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(VET,         0x0038,   1,    4, 0x81008100, 0xffffffff, RW,  none)         \
    R(ICR,         0x00c0,   1,    4, 0,          0x7fffffff, RC1, irq)          \
    R(ICS,         0x00c8,   1,    4, 0,          0x7fffffff, WO,  irq)          \
    R(IMS,         0x00d0,   1,    4, 0,          0x7fffffff, W1S, irq)          \
    R(IMC,         0x00d8,   1,    4, 0,          0x7fffffff, W1C, irq)          \
    R(IAM,         0x00e0,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(RCTL,        0x0100,   1,    4, 0,          0xffffffff, RW,  rctl)         \
    R(FCTTV,       0x0170,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(TCTL,        0x0400,   1,    4, 0xa40400f8, 0xffffffff, RW,  tctl)         \
    R(TCTL_EXT,    0x0404,   1,    4, 0x00010840, 0xffffffff, RW,  none)         \
    R(TIPG,        0x0410,   1,    4, 0x00601008, 0x3fffffff, RW,  none)         \
    R(MBVFIMR,     0x0c84,   1,    4, 0x000000ff, 0x000000ff, RW,  none)         \
    R(VFRE,        0x0c8c,   1,    4, 0x000000ff, 0x000000ff, RW,  none)         \
    R(VFTE,        0x0c90,   1,    4, 0x000000ff, 0x000000ff, RW,  none)         \
    R(LEDCTL,      0x0e00,   1,    4, 0x07068302, 0xffffffff, RW,  none)         \
    R(EEMNGCTL,    0x1010,   1,    4, 0x80040000, 0,          RO,  none)         \
    R(GPIE,        0x1514,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(EICS,        0x1520,   1,    4, 0,          0x01ffffff, WO,  irq)          \
    R(EIMS,        0x1524,   1,    4, 0,          0x01ffffff, W1S, irq)          \
    R(EIMC,        0x1528,   1,    4, 0,          0x01ffffff, W1C, irq)          \
    R(EIAC,        0x152c,   1,    4, 0,          0x01ffffff, RW,  none)         \
    R(EIAM,        0x1530,   1,    4, 0,          0x01ffffff, RW,  none)         \
    R(EICR,        0x1580,   1,    4, 0,          0x01ffffff, RC1, irq)          \
    R(EITR,        0x1680,  25,    4, 0,          0x00007ffc, RWK, eitr)         \
    R(IVAR,        0x1700,   8,    4, 0,          0xffffffff, RW,  none)         \
    R(IVAR_MISC,   0x1740,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(FCRTL,       0x2160,   1,    4, 0,          0x8000fff0, RW,  none)         \
    R(FCRTH,       0x2168,   1,    4, 0,          0x0000fff0, RW,  none)         \
    R(RXPBS,       0x2404,   1,    4, 0x00000040, 0x0000007f, RWK, none)         \
    R(FCRTV,       0x2460,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(TXPBS,       0x3404,   1,    4, 0x00000028, 0x0000007f, RWK, none)         \
    R(DTXSWC,      0x3500,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(DTXCTL,      0x3590,   1,    4, 0x00000044, 0xffffffff, RW,  none)         \
    R(VMVIR,       0x3700,   8,    4, 0,          0xffffffff, RW,  none)         \
    R(CRCERRS,     0x4000,   1,    4, 0,          0,          RC,  none)         \
    R(RXERRC,      0x400c,   1,    4, 0,          0,          RC,  none)         \
    R(MPC,         0x4010,   1,    4, 0,          0,          RC,  none)         \
    R(PRC,         0x405c,   6,    4, 0,          0,          RC,  none)         \
    R(GPRC,        0x4074,   1,    4, 0,          0,          RC,  none)         \
    R(BPRC,        0x4078,   1,    4, 0,          0,          RC,  none)         \
    R(MPRC,        0x407c,   1,    4, 0,          0,          RC,  none)         \
    R(GPTC,        0x4080,   1,    4, 0,          0,          RC,  none)         \
    R(GORCL,       0x4088,   1,    4, 0,          0,          RCL, none)         \
    R(GORCH,       0x408c,   1,    4, 0,          0,          RCH, none)         \
    R(GOTCL,       0x4090,   1,    4, 0,          0,          RCL, none)         \
    R(GOTCH,       0x4094,   1,    4, 0,          0,          RCH, none)         \
    R(RNBC,        0x40a0,   1,    4, 0,          0,          RC,  none)         \
    R(ROC,         0x40ac,   1,    4, 0,          0,          RC,  none)         \
    R(TORL,        0x40c0,   1,    4, 0,          0,          RCL, none)         \
    R(TORH,        0x40c4,   1,    4, 0,          0,          RCH, none)         \
    R(TOTL,        0x40c8,   1,    4, 0,          0,          RCL, none)         \
    R(TOTH,        0x40cc,   1,    4, 0,          0,          RCH, none)         \
    R(TPR,         0x40d0,   1,    4, 0,          0,          RC,  none)         \
    R(TPT,         0x40d4,   1,    4, 0,          0,          RC,  none)         \
    R(PTC,         0x40d8,   6,    4, 0,          0,          RC,  none)         \
    R(MPTC,        0x40f0,   1,    4, 0,          0,          RC,  none)         \
    R(BPTC,        0x40f4,   1,    4, 0,          0,          RC,  none)         \
    R(TSCTC,       0x40f8,   1,    4, 0,          0,          RC,  none)         \
    R(IAC,         0x4100,   1,    4, 0,          0,          RC,  none)         \
    R(RXCSUM,      0x5000,   1,    4, 0x00000300, 0x0000ffff, RW,  none)         \
    R(RLPML,       0x5004,   1,    4, 0x00002600, 0x00003fff, RW,  none)         \
    R(RFCTL,       0x5008,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(MTA,         0x5200, 128,    4, 0,          0xffffffff, RW,  none)         \
    R(RAL,         0x5400,  16,    8, 0,          0xffffffff, RW,  none)         \
    R(RAH,         0x5404,  16,    8, 0,          0x87ffffff, RW,  none)         \
    R(PSRTYPE,     0x5480,   8,    4, 0,          0xffffffff, RW,  none)         \
    R(RAL2,        0x54e0,   8,    8, 0,          0xffffffff, RW,  none)         \
    R(RAH2,        0x54e4,   8,    8, 0,          0x87ffffff, RW,  none)         \
    R(VFTA,        0x5600, 128,    4, 0,          0xffffffff, RW,  none)         \
    R(WUC,         0x5800,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(WUFC,        0x5808,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(MRQC,        0x5818,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(VT_CTL,      0x581c,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(MANC,        0x5820,   1,    4, 0,          0,          RO,  none)         \
    R(VMOLR,       0x5ad0,   8,    4, 0x80002600, 0xffffffff, RW,  none)         \
    R(RPLOLR,      0x5af0,   1,    4, 0x80000000, 0xffffffff, RW,  none)         \
    R(GCR,         0x5b00,   1,    4, 0x06850200, 0xffffffff, RW,  none)         \
    R(FACTPS,      0x5b30,   1,    4, 0,          0,          RO,  none)         \
    R(SWSM,        0x5b50,   1,    4, 0,          0x00000003, FN,  swsm)         \
    R(FWSM,        0x5b54,   1,    4, 0,          0,          RO,  none)         \
    R(SW_FW_SYNC,  0x5b5c,   1,    4, 0,          0xffffffff, RW,  none)         \
    R(PBACLR,      0x5b68,   1,    4, 0,          0x000003ff, WO,  pbaclr)       \
    R(RETA,        0x5c00,  32,    4, 0,          0xffffffff, RW,  none)         \
    R(RSSRK,       0x5c80,  10,    4, 0,          0xffffffff, RW,  rssrk)        \
    R(ETQF,        0x5cb0,   8,    4, 0,          0xffffffff, RW,  none)         \
    R(TSYNCRXCFG,  0x5f50,   1,    4, 0,          0x0000ffff, RW,  none)         \
    R(UTA,         0xa000, 128,    4, 0,          0xffffffff, RW,  none)         \
    R(SYSTIML,     0xb600,   1,    4, 0,          0xffffffff, FN,  systim)       \
    R(SYSTIMH,     0xb604,   1,    4, 0,          0xffffffff, FN,  systim)       \
    R(TIMINCA,     0xb608,   1,    4, 0,          0xffffffff, RW,  timinca)      \
    R(TSYNCTXCTL,  0xb614,   1,    4, 0,          0x00000010, RW,  none)         \
    R(TXSTMPL,     0xb618,   1,    4, 0,          0,          RO,  none)         \
    R(TXSTMPH,     0xb61c,   1,    4, 0,          0,          RO,  stamp)        \
    R(TSYNCRXCTL,  0xb620,   1,    4, 0,          0x0000001e, RW,  none)         \
    R(RXSTMPL,     0xb624,   1,    4, 0,          0,          RO,  none)         \
    R(RXSTMPH,     0xb628,   1,    4, 0,          0,          RO,  stamp)        \
    R(RDBAL,       0xc000,  16, 0x40, 0,          0xffffff80, RW,  base)         \
    R(RDBAH,       0xc004,  16, 0x40, 0,          0xffffffff, RW,  none)         \
    R(RDLEN,       0xc008,  16, 0x40, 0,          0x000ffff0, RW,  none)         \
    R(SRRCTL,      0xc00c,  16, 0x40, 0,          0x8e003f7f, RW,  srrctl)       \
    R(RDH,         0xc010,  16, 0x40, 0,          0x0000ffff, RW,  none)         \
    R(RXCTL,       0xc014,  16, 0x40, 0,          0xffffffff, RW,  none)         \
    R(RDT,         0xc018,  16, 0x40, 0,          0x0000ffff, RW,  rdt)          \
    R(RXDCTL,      0xc028,  16, 0x40, 0x00010000, 0x07ffffff, RW,  rxdctl)       \
    R(RQDPC,       0xc030,  16, 0x40, 0,          0,          RC,  none)         \
    R(TDBAL,       0xe000,  16, 0x40, 0,          0xffffff80, RW,  base)         \
    R(TDBAH,       0xe004,  16, 0x40, 0,          0xffffffff, RW,  none)         \
    R(TDLEN,       0xe008,  16, 0x40, 0,          0x000ffff0, RW,  none)         \
    R(TDH,         0xe010,  16, 0x40, 0,          0x0000ffff, RW,  none)         \
    R(TXCTL,       0xe014,  16, 0x40, 0x00002a00, 0xffffffff, RW,  none)         \
    R(TDT,         0xe018,  16, 0x40, 0,          0x0000ffff, RW,  tdt)          \
    R(TXDCTL,      0xe028,  16, 0x40, 0,          0x0fffffff, RW,  tdt)          \
    R(TDWBAL,      0xe038,  16, 0x40, 0,          0xffffffff, RW,  none)         \
    R(TDWBAH,      0xe03c,  16, 0x40, 0,          0xffffffff, RW,  none)         

/*
 * Second places of the same registers: instance i of count, at + i * step and the length bytes from
 * there on, is canonical + i * canonical_step. The 82575's queue windows, and the ICR group.
 */
#define IGB_LITE_ALIASES(A)                                       \
    /* at     step   count  canonical  canonical_step  length */  \
    A(0x1500, 0x004, 5,     0x00c0,    0x08,           0x04)      \
    A(0x2800, 0x100, 4,     0xc000,    0x40,           0x40)      \
    A(0x3800, 0x100, 4,     0xe000,    0x40,           0x40)
/* clang-format on */

typedef enum IGBLiteAccess {
    IGB_LITE_RW,
    IGB_LITE_RWK,
    IGB_LITE_RO,
    IGB_LITE_RC,
    IGB_LITE_RCL,
    IGB_LITE_RCH,
    IGB_LITE_RC1,
    IGB_LITE_W1S,
    IGB_LITE_W1C,
    IGB_LITE_WO,
    IGB_LITE_FN,
} IGBLiteAccess;

#define IGB_LITE_DEFINE_REG(name, offset, ...) REG32(name, offset)
IGB_LITE_REGISTERS(IGB_LITE_DEFINE_REG)
#undef IGB_LITE_DEFINE_REG

/* clang-format off: one field a line */
FIELD(CTRL, GIO_MASTER_DISABLE, 2, 1)
FIELD(CTRL, RST, 26, 1)
FIELD(CTRL, VME, 30, 1)
FIELD(CTRL, PHY_RST, 31, 1)
FIELD(STATUS, LU, 1, 1)
FIELD(STATUS, GIO_MASTER_ENABLE, 19, 1)
FIELD(EERD, START, 0, 1)
FIELD(EERD, DONE, 1, 1)
FIELD(EERD, ADDR, 2, 14)
FIELD(EERD, DATA, 16, 16)
FIELD(MDIC, DATA, 0, 16)
FIELD(MDIC, REG, 16, 5)
FIELD(MDIC, PHY, 21, 5)
FIELD(MDIC, OP, 26, 2)
FIELD(MDIC, READY, 28, 1)
FIELD(MDIC, INT_EN, 29, 1)
FIELD(MDIC, ERROR, 30, 1)
FIELD(VET, VLAN, 0, 16)
FIELD(ICR, TXDW, 0, 1)
FIELD(ICR, LSC, 2, 1)
FIELD(ICR, RXO, 6, 1)
FIELD(ICR, RXDW, 7, 1)
FIELD(ICR, MDAC, 9, 1)
FIELD(ICR, INTA, 31, 1)
FIELD(RCTL, EN, 1, 1)
FIELD(RCTL, SBP, 2, 1)
FIELD(RCTL, UPE, 3, 1)
FIELD(RCTL, MPE, 4, 1)
FIELD(RCTL, LPE, 5, 1)
FIELD(RCTL, LBM, 6, 2)
FIELD(RCTL, MO, 12, 2)
FIELD(RCTL, BAM, 15, 1)
FIELD(RCTL, BSIZE, 16, 2)
FIELD(RCTL, VFE, 18, 1)
FIELD(RCTL, SECRC, 26, 1)
FIELD(TCTL, EN, 1, 1)
FIELD(GPIE, MSIX_MODE, 4, 1)
FIELD(GPIE, EIAME, 30, 1)
FIELD(EITR, INTERVAL, 2, 13)
FIELD(EITR, CNT_IGNR, 31, 1)
FIELD(IVAR, VECTOR, 0, 5)
FIELD(IVAR, VALID, 7, 1)
FIELD(RXCSUM, IPOFLD, 8, 1)
FIELD(RXCSUM, TUOFLD, 9, 1)
FIELD(RXCSUM, PCSD, 13, 1)
FIELD(RLPML, SIZE, 0, 14)
FIELD(RFCTL, IPV6_EX_DIS, 16, 1)
FIELD(RAH, AV, 31, 1)
FIELD(MRQC, ENABLE, 0, 3)
FIELD(MRQC, TCP_IPV4, 16, 1)
FIELD(MRQC, IPV4, 17, 1)
FIELD(MRQC, TCP_IPV6_EX, 18, 1)
FIELD(MRQC, IPV6_EX, 19, 1)
FIELD(MRQC, IPV6, 20, 1)
FIELD(MRQC, TCP_IPV6, 21, 1)
FIELD(MRQC, UDP_IPV4, 22, 1)
FIELD(MRQC, UDP_IPV6, 23, 1)
FIELD(MRQC, UDP_IPV6_EX, 24, 1)
FIELD(SWSM, SMBI, 0, 1)
FIELD(TSYNCRXCFG, CTRLT, 0, 8)
FIELD(TSYNCRXCFG, MSGT, 8, 4)
FIELD(TIMINCA, INCVALUE, 0, 24)
FIELD(TIMINCA, INCPERIOD, 24, 8)
FIELD(TSYNCTXCTL, VALID, 0, 1)
FIELD(TSYNCTXCTL, ENABLE, 4, 1)
FIELD(TSYNCRXCTL, VALID, 0, 1)
FIELD(TSYNCRXCTL, TYPE, 1, 3)
FIELD(TSYNCRXCTL, ENABLE, 4, 1)
FIELD(SRRCTL, BSIZE_KB, 0, 7)
FIELD(SRRCTL, DESCTYPE, 25, 3)
FIELD(SRRCTL, DROP_EN, 31, 1)
FIELD(RXDCTL, ENABLE, 25, 1)
FIELD(TXDCTL, ENABLE, 25, 1)
FIELD(TDWBAL, HEAD_WB, 0, 1)
/* clang-format on */

#define IGB_LITE_EICR_MASK 0x01ffffffu

/* Descriptors: 16 bytes each, little-endian in guest memory, in host order here. */

/* What the driver posts. */
typedef struct IGBLiteRxRead {
    uint64_t packet;
    uint64_t header;
} IGBLiteRxRead;

/*
 * What the device leaves in its place: info (types and hash) first, status second, as one 64-bit
 * store.
 */
/* clang-format off */
FIELD(RX_INFO, RSS_TYPE, 0, 4)
FIELD(RX_INFO, PKT_TYPE, 4, 12)
FIELD(RX_INFO, IP_ID, 32, 16)
FIELD(RX_INFO, CSUM, 48, 16)
FIELD(RX_INFO, RSS_HASH, 32, 32)
FIELD(RX_STATUS, DD, 0, 1)
FIELD(RX_STATUS, EOP, 1, 1)
FIELD(RX_STATUS, VP, 3, 1)
FIELD(RX_STATUS, UDPCS, 4, 1)
FIELD(RX_STATUS, L4CS, 5, 1)
FIELD(RX_STATUS, IPCS, 6, 1)
FIELD(RX_STATUS, TS, 16, 1)
FIELD(RX_STATUS, LB, 18, 1)
FIELD(RX_STATUS, L4E, 29, 1)
FIELD(RX_STATUS, IPE, 30, 1)
FIELD(RX_STATUS, LENGTH, 32, 16)
FIELD(RX_STATUS, VLAN, 48, 16)
/* clang-format on */

/* RX_INFO.PKT_TYPE */
#define IGB_LITE_PT_IPV4 0x001
#define IGB_LITE_PT_IPV6 0x004
#define IGB_LITE_PT_IPV6_EXT 0x008
#define IGB_LITE_PT_TCP 0x010
#define IGB_LITE_PT_UDP 0x020
#define IGB_LITE_PT_SCTP 0x040

/* A transmit descriptor; what addr holds in a context descriptor is in TX_CTX_LO. */
typedef struct IGBLiteTxDesc {
    uint64_t addr;
    uint32_t cmd;
    uint32_t olinfo;
} IGBLiteTxDesc;

/* clang-format off */
FIELD(TX_CMD, LENGTH, 0, 16)
FIELD(TX_CMD, TSTAMP, 19, 1)
FIELD(TX_CMD, TYPE, 20, 4)
FIELD(TX_CMD, EOP, 24, 1)
FIELD(TX_CMD, RS, 27, 1)
FIELD(TX_CMD, DEXT, 29, 1)
FIELD(TX_CMD, VLE, 30, 1)
FIELD(TX_CMD, TSE, 31, 1)
#define IGB_LITE_TX_CONTEXT 2
#define IGB_LITE_TX_DATA    3
FIELD(TX_OL, DD, 0, 1)
FIELD(TX_OL, CTX, 4, 1)
FIELD(TX_OL, IXSM, 8, 1)
FIELD(TX_OL, TXSM, 9, 1)
FIELD(TX_OL, PAYLEN, 14, 18)
FIELD(TX_CTX_LO, IPLEN, 0, 9)
FIELD(TX_CTX_LO, MACLEN, 9, 7)
FIELD(TX_CTX_LO, VLAN, 16, 16)
FIELD(TX_CTX_CMD, IPV4, 10, 1)
FIELD(TX_CTX_CMD, L4T, 11, 2)
FIELD(TX_CTX_OL, INDEX, 4, 1)
FIELD(TX_CTX_OL, L4LEN, 8, 8)
FIELD(TX_CTX_OL, MSS, 16, 16)
/* clang-format on */

enum { IGB_LITE_L4_UDP, IGB_LITE_L4_TCP, IGB_LITE_L4_SCTP };

/* PHY registers beyond those of hw/net/mii.h. */
#define IGB_LITE_PHY_ADDR 1
#define IGB_LITE_PHY_ID1 0x02a8
#define IGB_LITE_PHY_ID2 0x0391
#define IGB_LITE_PHY_PAGE 31

#endif
