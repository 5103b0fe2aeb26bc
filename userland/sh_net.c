// SPDX-License-Identifier: MIT
// Built-in commands of sh that look at and change interfaces and routes.
#include "net_config.h"
#include "sh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

static void show_device(int fd, struct ifreq *device)
{
    struct ifreq r = *device;
    int flags = ioctl(fd, SIOCGIFFLAGS, &r) == 0 ? r.ifr_flags : 0;
    r = *device;
    int mtu = ioctl(fd, SIOCGIFMTU, &r) == 0 ? r.ifr_mtu : 0;
    r = *device;
    unsigned char hardware[6] = {0};
    if (ioctl(fd, SIOCGIFHWADDR, &r) == 0)
        memcpy(hardware, r.ifr_hwaddr.sa_data, sizeof hardware);
    printf("%s: %s%s mtu %d ether %02x:%02x:%02x:%02x:%02x:%02x", device->ifr_name,
           flags & IFF_UP ? "up" : "down", flags & IFF_RUNNING ? ",running" : "", mtu, hardware[0],
           hardware[1], hardware[2], hardware[3], hardware[4], hardware[5]);
    struct in_addr address;
    if (net_get_address(device->ifr_name, &address) == 0)
        printf(" inet %s", inet_ntoa(address));
    putchar('\n');
}

static int show_devices(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return complain("ip");
    for (int index = 1; index < 64; index++) {
        struct ifreq r;
        memset(&r, 0, sizeof r);
        r.ifr_ifindex = index;
        if (ioctl(fd, SIOCGIFNAME, &r) == 0)
            show_device(fd, &r);
    }
    close(fd);
    return 0;
}

static int run_ip(int argc, char **argv)
{
    struct in_addr address, mask = {htonl(0xffffff00)};
    if (argc == 1)
        return show_devices();
    if (argc == 3 && (!strcmp(argv[2], "up") || !strcmp(argv[2], "down")))
        return net_set_up(argv[1], argv[2][0] == 'u') < 0 ? complain(argv[1]) : 0;
    if (argc == 4 && !strcmp(argv[2], "address")) {
        char *slash = strchr(argv[3], '/');
        if (slash) {
            *slash = 0;
            int bits = atoi(slash + 1);
            mask.s_addr = bits > 0 && bits <= 32 ? htonl(~0u << (32 - bits)) : 0;
        }
        if (inet_aton(argv[3], &address))
            return net_set_address(argv[1], address, mask) < 0 ? complain(argv[1]) : 0;
    }
    if (argc == 3 && !strcmp(argv[1], "gateway") && inet_aton(argv[2], &address))
        return net_add_default_route(address) < 0 ? complain(argv[2]) : 0;
    fputs("usage: ip | ip DEVICE up|down | ip DEVICE address A.B.C.D[/BITS] | ip gateway A.B.C.D\n",
          stderr);
    return 2;
}

const struct builtin net_builtins[] = {
    {"ip", "ip [DEVICE up|down|address A]", "show or change interfaces", run_ip},
    {NULL, NULL, NULL, NULL},
};
