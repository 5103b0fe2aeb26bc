// SPDX-License-Identifier: MIT
// Joins the serial port's receive interrupt to the terminal. Boot; a file of its own, because only machines have a serial port.

#include "drivers/tty/serial.h"
#include "drivers/tty/tty.h"
#include "lib/initcall.h"

static int serial_console_init()
{
    if (!console_tty())
        return -ENODEV;
    console_rx = tty_receive;
    return 0;
}
device_initcall(serial_console_init);
