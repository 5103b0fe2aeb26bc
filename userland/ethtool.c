// SPDX-License-Identifier: MIT
// The views of Linux's ethtool that a driver's rings and counters need.
// Usage: ethtool [-i|-g|-S] DEVICE, ethtool -G DEVICE [rx N] [tx N]
#include "ethtool_abi.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int control;
static const char *device;

static int call(void *data)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    request.ifr_data = data;
    if (ioctl(control, SIOCETHTOOL, &request) < 0) {
        perror(device);
        return -1;
    }
    return 0;
}

static int show_driver(void)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    if (call(&info) < 0)
        return 1;
    printf("driver: %s\nversion: %s\nbus-info: %s\n", info.driver, info.version, info.bus_info);
    return 0;
}

static int show_rings(void)
{
    struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
    if (call(&ring) < 0)
        return 1;
    printf("max rx: %u\nmax tx: %u\nrx: %u\ntx: %u\n", ring.rx_max_pending, ring.tx_max_pending,
           ring.rx_pending, ring.tx_pending);
    return 0;
}

static int set_rings(int argc, char **argv)
{
    struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
    if (call(&ring) < 0)
        return 1;
    for (int i = 0; i + 1 < argc; i += 2) {
        unsigned value = (unsigned)strtoul(argv[i + 1], NULL, 0);
        if (!strcmp(argv[i], "rx"))
            ring.rx_pending = value;
        else
            ring.tx_pending = value;
    }
    ring.cmd = ETHTOOL_SRINGPARAM;
    return call(&ring) < 0;
}

/// The number of statistics: newer kernels by GSSET_INFO, all by GDRVINFO.
static unsigned statistics_count(void)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    return call(&info) < 0 ? 0 : info.n_stats;
}

static int show_statistics(void)
{
    unsigned count = statistics_count();
    struct ethtool_gstrings *names = calloc(1, sizeof *names + (size_t)count * ETH_GSTRING_LEN);
    struct ethtool_stats *values = calloc(1, sizeof *values + count * sizeof values->data[0]);
    int result = 1;
    if (names && values) {
        names->cmd = ETHTOOL_GSTRINGS;
        names->string_set = ETH_SS_STATS;
        names->len = count;
        values->cmd = ETHTOOL_GSTATS;
        values->n_stats = count;
        if (call(names) == 0 && call(values) == 0) {
            for (unsigned i = 0; i < count; i++)
                printf("%.32s: %llu\n", (char *)names->data + (size_t)i * ETH_GSTRING_LEN,
                       (unsigned long long)values->data[i]);
            result = 0;
        }
    }
    free(names);
    free(values);
    return result;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *option = argc > 2 ? argv[1] : "";
    device = argc > 2 ? argv[2] : "";
    control = socket(AF_INET, SOCK_DGRAM, 0);
    if (!strcmp(option, "-i"))
        return show_driver();
    if (!strcmp(option, "-g"))
        return show_rings();
    if (!strcmp(option, "-G"))
        return set_rings(argc - 3, argv + 3);
    if (!strcmp(option, "-S"))
        return show_statistics();
    fputs("usage: ethtool -i|-g|-S DEVICE, ethtool -G DEVICE [rx N] [tx N]\n", stderr);
    return 2;
}
