// SPDX-License-Identifier: MIT
// What the boot does to the tree before the first program runs. Process context.
#pragma once

/// Unpack a newc cpio archive, or several one after the other, into the root. Entries that cannot be made are
/// reported and skipped; a broken archive is reported and the rest of it ignored. Returns the number of entries made.
unsigned unpack_initramfs(const unsigned char *data, unsigned long size);
/// Mount devtmpfs, proc, sysfs and debugfs in their usual places, making the directories. After the unpacking, so that the
/// archive's own /dev lies below.
void mount_standard_filesystems();
