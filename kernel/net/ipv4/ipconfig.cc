// SPDX-License-Identifier: MIT
// `ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>`, or `ip=dhcp` and friends: brings lo and one
// device up before init runs. A late initcall, process context; takes rtnl through the functions it calls.
#include "net/ipv4/ipconfig.h"
#include "fs/seq_file.h"
#include "lib/cmdline.h"
#include "lib/initcall.h"
#include "net/ipv4/devinet.h"
#include "net/sched/sch_generic.h"
#include "sched/sched.h"

constexpr u64 CARRIER_TIMEOUT = 10 * HZ;

static ip_config ic;

be32 ip_config_class_mask(be32 addr)
{
    u8 first = static_cast<u8>(ntohl(addr) >> 24);
    return first < 128 ? htonl(0xff000000) : first < 192 ? htonl(0xffff0000) : htonl(0xffffff00);
}

/// A field that must be empty or an address.
static bool parse_address(const char *s, be32 *out)
{
    if (!*s)
        return true;
    const char *end = nullptr;
    return in4_pton(s, out, &end) && !*end;
}

/// The method words of nfsroot.txt; RARP and BOOTP are asked for as DHCP, which answers all of them in practice.
static bool parse_method(const char *s, ip_config *out)
{
    if (!*s)
        return true;
    if (!strcmp(s, "off") || !strcmp(s, "none")) {
        out->off = true;
        return true;
    }
    out->use_dhcp = !strcmp(s, "on") || !strcmp(s, "any") || !strcmp(s, "dhcp") ||
                    !strcmp(s, "both") || !strcmp(s, "bootp");
    return out->use_dhcp;
}

/// Bytes of a netmask must be ones, then zeros.
static bool mask_is_contiguous(be32 mask)
{
    u32 inverse = ~ntohl(mask);
    return (inverse & (inverse + 1)) == 0;
}

const char *ip_config_parse(const char *text, ip_config *out)
{
    enum field { CLIENT, SERVER, GATEWAY, NETMASK, HOSTNAME, DEVICE, METHOD, DNS0, DNS1, FIELDS };
    static const char *const names[FIELDS] = {"client", "server", "gateway", "netmask", "hostname",
                                              "device", "method", "dns0",    "dns1"};
    *out = {};
    if (!strchr(text, ':') && parse_method(text, out))
        return nullptr; // ip=dhcp; an address alone is a client field
    char buf[256];
    if (strlcpy(buf, text, sizeof buf) >= sizeof buf)
        return "length";
    char *at = buf;
    for (unsigned f = 0; at; f++) {
        if (f == FIELDS)
            return "number of fields";
        char *end = strchr(at, ':');
        if (end)
            *end = 0;
        bool ok = true;
        switch (f) {
        case CLIENT:
            ok = parse_address(at, &out->client);
            break;
        case SERVER:
            ok = parse_address(at, &out->server);
            break;
        case GATEWAY:
            ok = parse_address(at, &out->gateway);
            break;
        case NETMASK:
            ok = parse_address(at, &out->netmask) && mask_is_contiguous(out->netmask);
            break;
        case HOSTNAME:
            ok = strlcpy(out->hostname, at, sizeof out->hostname) < sizeof out->hostname;
            break;
        case DEVICE:
            ok = strlcpy(out->device, at, sizeof out->device) < sizeof out->device;
            break;
        case METHOD:
            ok = parse_method(at, out);
            break;
        case DNS0:
            ok = parse_address(at, &out->dns[0]);
            break;
        case DNS1:
            ok = parse_address(at, &out->dns[1]);
            break;
        }
        if (!ok)
            return names[f];
        at = end ? end + 1 : nullptr;
    }
    // "off" in a full line only means: no protocol; the static address still counts.
    out->off = out->off && !out->client;
    if (!out->client && !out->off)
        out->use_dhcp = true;
    return nullptr;
}

static void find_first(net_device *dev, void *arg)
{
    auto **found = static_cast<net_device **>(arg);
    if (!*found && !(dev->flags & IFF_LOOPBACK)) {
        dev_hold(dev);
        *found = dev;
    }
}

static net_device *pick_device()
{
    if (ic.device[0])
        return dev_get_by_name(ic.device);
    net_device *dev = nullptr;
    for_each_netdev(find_first, &dev);
    return dev;
}

static int bring_up(net_device *dev)
{
    mutex_guard g{rtnl_mutex};
    return dev_change_flags(dev, dev->flags | IFF_UP);
}

/// Until the device sends: with an address but no link the first ARP request would be lost, and the next comes a second later.
/// Linux waits for the carrier here as well. False: it did not come.
static bool wait_carrier(net_device *dev)
{
    u64 end = jiffies() + CARRIER_TIMEOUT;
    while (!netif_carrier_ok(dev) || rcu_dereference(dev->qdisc) == &noop_qdisc) {
        if (time_after(jiffies(), end))
            return false;
        set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    return true;
}

static void apply(net_device *dev)
{
    if (!ic.netmask)
        ic.netmask = ip_config_class_mask(ic.client);
    mutex_guard g{rtnl_mutex};
    int err = inet_set_ifaddr(dev, ic.client, ic.netmask, ic.client | ~ic.netmask);
    if (err) {
        pr_err("IP-Config: %s does not take the address: error %d", dev->name, err);
        return;
    }
    if (!ic.gateway)
        return;
    if ((ic.gateway ^ ic.client) & ic.netmask)
        pr_err("IP-Config: the gateway is not on the device's network");
    else if ((err = ip_rt_add_default(dev, ic.gateway)))
        pr_err("IP-Config: no default route: error %d", err);
}

static void report(const net_device *dev)
{
    pr_info("IP-Config: Complete: device=%s, address=%pI4, mask=%pI4, gateway=%pI4%s%s", dev->name,
            &ic.client, &ic.netmask, &ic.gateway, ic.hostname[0] ? ", host=" : "", ic.hostname);
}

/// /proc/net/pnp as Linux has it: where user space finds the name servers.
static void show_pnp(seq_file *m)
{
    seq_puts(m, ic.use_dhcp ? "#PROTO: DHCP\n" : "#MANUAL\n");
    for (be32 &d : ic.dns)
        if (d)
            seq_printf(m, "nameserver %pI4\n", &d);
    if (ic.server)
        seq_printf(m, "bootserver %pI4\n", &ic.server);
}

/// Open the device, get the addresses if they are not all there, set them. 0 or -errno, reported.
static int configure(net_device *dev)
{
    if (int err = bring_up(dev)) {
        pr_err("IP-Config: %s does not open: error %d", dev->name, err);
        return err;
    }
    if (!wait_carrier(dev)) {
        pr_err("IP-Config: %s has no carrier", dev->name);
        if (ic.use_dhcp)
            return -ENETDOWN; // a static address may as well be set
    }
    if (ic.use_dhcp && !dhcp_request(dev, &ic)) {
        pr_err("IP-Config: no DHCP answer on %s", dev->name);
        return -ETIMEDOUT;
    }
    apply(dev);
    report(dev);
    return 0;
}

static int ip_auto_config()
{
    char text[256];
    if (!cmdline_get("ip", text, sizeof text))
        return 0;
    if (const char *wrong = ip_config_parse(text, &ic)) {
        pr_err("IP-Config: ip=%s: wrong %s", text, wrong);
        return -EINVAL;
    }
    if (ic.off)
        return 0;
    proc_create("net/pnp", show_pnp);
    bring_up(loopback_dev);
    net_device *dev = pick_device();
    if (!dev) {
        pr_err("IP-Config: no network device%s%s", ic.device[0] ? " named " : "", ic.device);
        return -ENODEV;
    }
    int err = configure(dev);
    dev_put(dev);
    return err;
}
late_initcall(ip_auto_config);
