// SPDX-License-Identifier: MIT
// igb: everything that programs the device outside the data path. Process context (probe, open, close under rtnl), but igb_has_link and
// igb_update_stats, which any context may call.
#include "drivers/net/igb/igb.h"
#include "lib/random.h"

constexpr u64 RESET_SETTLE_US = 1000, MDIC_POLL_US = 50;
constexpr unsigned MDIC_POLLS = 640, RESET_POLLS = 10;

static void phy_write(igb_adapter *a, u32 reg_nr, u16 value)
{
    a->hw.write(MDIC, value | reg_nr << 16 | MDIC_PHY_ADDRESS << 21 | MDIC_OP_WRITE);
    for (unsigned i = 0; i < MDIC_POLLS; i++) {
        u32 v = a->hw.read(MDIC);
        if (v & MDIC_READY) {
            if (v & MDIC_ERROR)
                pr_warn("igb %s: PHY register %u refused", a->pdev->name, reg_nr);
            return;
        }
        arch_udelay(MDIC_POLL_US);
    }
    pr_warn("igb %s: PHY does not answer", a->pdev->name);
}

void igb_irq_disable(igb_adapter *a)
{
    a->hw.write(EIAM, 0);
    a->hw.write(EIMC, ~0u);
    a->hw.write(EIAC, 0);
    a->hw.write(IMC, ~0u);
    a->hw.read(STATUS);
}

result<void> igb_reset_hw(igb_adapter *a)
{
    a->hw.write(IMC, ~0u);
    a->hw.write(EIMC, ~0u);
    a->hw.write(RCTL, 0);
    a->hw.write(TCTL, TCTL_PSP);
    a->hw.read(STATUS);
    a->hw.set_bits(CTRL, CTRL_RST);
    unsigned tries = RESET_POLLS;
    do {
        arch_udelay(RESET_SETTLE_US);
        if (a->hw.read(CTRL) == ~0u)
            return error{EIO}; // gone from the bus
    } while ((a->hw.read(CTRL) & CTRL_RST) && --tries);
    if (!tries)
        return error{EIO};
    igb_irq_disable(a);
    a->hw.read(ICR);
    return {};
}

result<void> igb_read_mac_addr(igb_adapter *a, u8 mac[6])
{
    u32 lo = a->hw.read(RAL, 0), hi = a->hw.read(RAH, 0);
    for (unsigned i = 0; i < 4; i++)
        mac[i] = static_cast<u8>(lo >> (8 * i));
    mac[4] = static_cast<u8>(hi);
    mac[5] = static_cast<u8>(hi >> 8);
    bool zero = !lo && !(hi & 0xffff);
    if (zero || (mac[0] & 1))
        return error{EIO};
    return {};
}

void igb_setup_link(igb_adapter *a)
{
    u32 ctrl = a->hw.read(CTRL);
    a->hw.write(CTRL, (ctrl | CTRL_SLU) & ~(CTRL_FRCSPD | CTRL_FRCDPX));
    phy_write(a, 0, BMCR_ENABLE_AN | BMCR_RESTART_AN | BMCR_FULL_1000);
}

bool igb_has_link(igb_adapter *a)
{
    return a->hw.read(STATUS) & STATUS_LU;
}

void igb_rar_set(igb_adapter *a, const u8 *mac)
{
    u32 lo = mac[0] | mac[1] << 8 | mac[2] << 16 | u32{mac[3]} << 24;
    a->hw.write(RAL, 0, lo);
    a->hw.write(RAH, 0, mac[4] | u32{mac[5]} << 8 | RAH_AV | RAH_POOL_1);
    a->hw.read(STATUS);
}

/// Promiscuous by request; all multicast as soon as any is wanted (exact filtering is IP's).
void igb_set_rx_mode(net_device *dev)
{
    igb_adapter *a = igb_priv(dev);
    u32 rctl = a->hw.read(RCTL) & ~(RCTL_UPE | RCTL_MPE);
    if (dev->flags & IFF_PROMISC)
        rctl |= RCTL_UPE | RCTL_MPE;
    else if (dev->flags & (IFF_ALLMULTI | IFF_MULTICAST))
        rctl |= RCTL_MPE;
    a->hw.write(RCTL, rctl);
}

/// Receive side scaling: Toeplitz over the IPv4 addresses and TCP ports, 128 indirection entries spread evenly over the queues.
void igb_setup_mrqc(igb_adapter *a)
{
    u32 key[10];
    get_random_bytes(key, sizeof key);
    for (unsigned i = 0; i < 10; i++)
        a->hw.write(RSSRK, i, key[i]);
    for (unsigned i = 0; i < 32; i++) {
        u32 four = 0;
        for (unsigned j = 0; j < 4; j++)
            four |= (4 * i + j) * a->num_q_vectors / 128 << (8 * j);
        a->hw.write(RETA, i, four);
    }
    // PCSD: the descriptor carries the RSS hash in place of the packet checksum.
    a->hw.write(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | RXCSUM_PCSD);
    u32 mrqc = MRQC_RSS_IPV4 | MRQC_RSS_IPV4_TCP;
    a->hw.write(MRQC, a->num_q_vectors > 1 ? mrqc | MRQC_ENABLE_RSS_4Q : mrqc);
}

/// Vector 0: link and other causes. Vector q+1: receive and transmit queue q. GPIE first: the masks of the other registers depend on it.
void igb_configure_msix(igb_adapter *a)
{
    a->hw.write(GPIE, GPIE_MSIX_MODE | GPIE_PBA | GPIE_EIAME | GPIE_NSICR);
    a->hw.write(IVAR_MISC, IVAR_VALID << 8);
    a->eims_other = 1;
    a->eims_enable_mask = 0;
    for (unsigned q = 0; q < a->num_q_vectors; q++) {
        u32 vector = q + 1;
        a->hw.write(IVAR, q, (vector | IVAR_VALID) | (vector | IVAR_VALID) << 8);
        a->q_vector[q]->eims_value = 1u << vector;
        a->eims_enable_mask |= 1u << vector;
        a->hw.write(EITR, vector, a->q_vector[q]->itr_val | EITR_CNT_IGNR);
    }
    a->hw.read(STATUS);
}

/// EIAC: sending the message clears the cause. EIAM: it also masks the vector until the poll has finished (row R-15).
void igb_irq_enable(igb_adapter *a)
{
    u32 all = a->eims_enable_mask | a->eims_other;
    a->hw.write(EIAC, all);
    a->hw.write(EIAM, a->eims_enable_mask);
    a->hw.write(EIMS, all);
    a->hw.write(IMS, ICR_LSC);
    a->hw.read(STATUS);
}

void igb_setup_tctl(igb_adapter *a)
{
    a->hw.set_bits(TCTL, TCTL_EN | TCTL_PSP);
}

/// Accept broadcasts, strip the FCS, allow frames up to the MTU with a VLAN tag.
void igb_setup_rctl(igb_adapter *a)
{
    a->hw.write(RLPML, a->netdev->mtu + ETH_HLEN + 4 + 4);
    a->hw.write(RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC | RCTL_LPE);
    igb_set_rx_mode(a->netdev);
}

void igb_update_stats(igb_adapter *a)
{
    spin_guard<irqsave> g{a->stats64_lock};
    e1000_hw_stats &s = a->stats;
    for (unsigned q = 0; q < a->num_q_vectors; q++)
        a->q_vector[q]->rx.drops += a->hw.read(RQDPC, q);
    s.crcerrs += a->hw.read(CRCERRS);
    s.mpc += a->hw.read(MPC);
    s.gprc += a->hw.read(GPRC);
    s.bprc += a->hw.read(BPRC);
    s.mprc += a->hw.read(MPRC);
    s.gptc += a->hw.read(GPTC);
    s.gorc += a->hw.read(GORCL);
    s.gorc += u64{a->hw.read(GORCH)} << 32;
    s.gotc += a->hw.read(GOTCL);
    s.gotc += u64{a->hw.read(GOTCH)} << 32;
    s.rnbc += a->hw.read(RNBC);
    s.ruc += a->hw.read(RUC);
    s.rfc += a->hw.read(RFC);
    s.roc += a->hw.read(ROC);
    s.mptc += a->hw.read(MPTC);
    s.bptc += a->hw.read(BPTC);
}
