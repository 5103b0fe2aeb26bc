// SPDX-License-Identifier: MIT
// Ethernet: header layout, building and parsing, defaults of Ethernet devices. Linux:
// net/ethernet/eth.c. Any context.

#include "net/ethernet/eth.h"

int eth_header(sk_buff *skb, net_device *dev, u16 type, const void *daddr, const void *saddr, u32)
{
    auto *eth = reinterpret_cast<ethhdr *>(skb_push(skb, ETH_HLEN));
    eth->h_proto = htons(type);
    memcpy(eth->h_source, saddr ? saddr : dev->dev_addr, ETH_ALEN);
    if (daddr) {
        memcpy(eth->h_dest, daddr, ETH_ALEN);
        return ETH_HLEN;
    }
    memset(eth->h_dest, 0, ETH_ALEN);
    return (dev->flags & (IFF_LOOPBACK | IFF_NOARP)) ? static_cast<int>(ETH_HLEN)
                                                     : -static_cast<int>(ETH_HLEN);
}

const header_ops eth_header_ops{eth_header};

static void classify(sk_buff *skb, const net_device *dev, const ethhdr *eth)
{
    if (unlikely(eth->h_dest[0] & 1))
        skb->pkt_type =
            ether_addr_equal(eth->h_dest, dev->broadcast) ? PACKET_BROADCAST : PACKET_MULTICAST;
    else if (unlikely(!ether_addr_equal(eth->h_dest, dev->dev_addr)))
        skb->pkt_type = PACKET_OTHERHOST;
}

be16 eth_type_trans(sk_buff *skb, net_device *dev)
{
    skb->dev = dev;
    skb_reset_mac_header(skb);
    if (unlikely(skb_headlen(skb) < ETH_HLEN)) {
        // A driver delivered a runt: no protocol wants it.
        skb->pkt_type = PACKET_OTHERHOST;
        return be16{};
    }
    const auto *eth = reinterpret_cast<const ethhdr *>(skb->data);
    skb->data += ETH_HLEN;
    skb->len -= ETH_HLEN;
    classify(skb, dev, eth);
    // Below 1536 the field is a length (IEEE 802.3): an LLC frame, which no protocol here takes.
    return eth->h_proto.host() >= 0x600 ? eth->h_proto : be16{};
}

void ether_setup(net_device *dev)
{
    dev->header_ops = &eth_header_ops;
    dev->type = 1; // ARPHRD_ETHER
    dev->hard_header_len = ETH_HLEN;
    dev->mtu = ETH_DATA_LEN;
    dev->addr_len = ETH_ALEN;
    dev->tx_queue_len = 1000;
    dev->flags = IFF_BROADCAST | IFF_MULTICAST;
    memset(dev->broadcast, 0xff, ETH_ALEN);
}
