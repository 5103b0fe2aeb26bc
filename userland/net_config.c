// SPDX-License-Identifier: MIT
// See net_config.h.
#include "net_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int open_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static void name_device(struct ifreq *request, const char *device)
{
    memset(request, 0, sizeof *request);
    snprintf(request->ifr_name, sizeof request->ifr_name, "%s", device);
}

/// close() that keeps errno, for the end of a function that reports one.
static int close_with(int fd, int result)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int net_set_up(const char *device, bool up)
{
    struct ifreq request;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    name_device(&request, device);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return close_with(fd, -1);
    if (up)
        request.ifr_flags |= IFF_UP;
    else
        request.ifr_flags &= ~IFF_UP;
    return close_with(fd, ioctl(fd, SIOCSIFFLAGS, &request));
}

static void put_address(struct sockaddr *where, struct in_addr address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
    memcpy(where, &in, sizeof in);
}

int net_set_address(const char *device, struct in_addr address, struct in_addr mask)
{
    struct ifreq request;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    name_device(&request, device);
    put_address(&request.ifr_addr, address);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        return close_with(fd, -1);
    put_address(&request.ifr_netmask, mask);
    if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
        return close_with(fd, -1);
    close(fd);
    return net_set_up(device, true);
}

int net_get_address(const char *device, struct in_addr *address)
{
    struct ifreq request;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    name_device(&request, device);
    if (ioctl(fd, SIOCGIFADDR, &request) < 0)
        return close_with(fd, -1);
    struct sockaddr_in in;
    memcpy(&in, &request.ifr_addr, sizeof in);
    *address = in.sin_addr;
    return close_with(fd, 0);
}

int net_add_default_route(struct in_addr gateway)
{
    struct rtentry route;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    memset(&route, 0, sizeof route);
    put_address(&route.rt_dst, (struct in_addr){0});
    put_address(&route.rt_genmask, (struct in_addr){0});
    put_address(&route.rt_gateway, gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    return close_with(fd, ioctl(fd, SIOCADDRT, &route));
}

bool net_apply_ip_word(const char *cmdline)
{
    const char *word = strstr(cmdline, "ip=");
    while (word && word != cmdline && word[-1] != ' ')
        word = strstr(word + 1, "ip=");
    if (!word)
        return false;
    // client:server:gateway:netmask:hostname:device:autoconf, any of them empty
    char fields[7][32] = {0};
    const char *at = word + 3;
    for (int i = 0; i < 7; i++) {
        size_t length = strcspn(at, ": \n");
        snprintf(fields[i], sizeof fields[i], "%.*s", (int)length, at);
        at += length;
        if (*at != ':')
            break;
        at++;
    }
    struct in_addr address, mask, gateway;
    if (!inet_aton(fields[0], &address) || !inet_aton(fields[3], &mask))
        return false;
    const char *device = fields[5][0] ? fields[5] : "eth0";
    if (net_set_address(device, address, mask) < 0) {
        perror(device);
        return true;
    }
    if (inet_aton(fields[2], &gateway) && net_add_default_route(gateway) < 0)
        perror("default route");
    return true;
}
